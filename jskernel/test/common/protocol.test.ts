// ClientProtocol: whatever order it comes in, each answer finds its request.
import assert from "node:assert/strict";
import { test } from "node:test";
import { CHANNELS, ClientProtocol } from "@laneway/kernel";
import type { Channel, Message, Pending, ProtocolEvent } from "@laneway/kernel";

function message(channel: Channel, msg_type: string, parent: unknown, content: unknown): Message {
  const header = { msg_id: "k", msg_type, session: "k", username: "", date: "", version: "5.5" };
  const parent_header = parent as Message["header"];
  return {
    channel,
    header,
    parent_header,
    metadata: {},
    content: content as Message["content"],
    buffers: [],
  };
}

function reply({ request }: Pending, channel = request.channel): Message {
  const type = request.header.msg_type.replace("_request", "_reply");
  return message(channel, type, request.header, { status: "ok" });
}

function published({ request }: Pending, msgType: string, content: Record<string, unknown>): Message {
  return message("iopub", msgType, request.header, content);
}

function status(pending: Pending, state: unknown): Message {
  return published(pending, "status", { execution_state: state });
}

const types = (events: ProtocolEvent[]) => events.map(({ type }) => type);

void test("a request is filed before it is sent", () => {
  const client = new ClientProtocol();
  const view = new Uint8Array([0, 1, 2]).subarray(1);
  const options = { subshell: "sub", metadata: { tags: [] }, buffers: [view] };
  const pending = client.request("execute_request", { code: "1" }, options);
  const { request } = pending;
  assert.deepEqual(
    [request.channel, request.header.msg_type, request.header.subshell_id, request.header.session],
    ["shell", "execute_request", "sub", client.session],
  );
  assert.deepEqual(
    [request.content, request.metadata, new Uint8Array(request.buffers[0] ?? [])],
    [{ code: "1" }, { tags: [] }, new Uint8Array([1, 2])],
  );
  assert.deepEqual(client.pending, [pending]);
  assert(!("subshell_id" in client.request("kernel_info_request", {}).request.header));
});

void test("an id is filed once at a time", () => {
  const client = new ClientProtocol();
  const pending = client.request("kernel_info_request", {}, { msgId: "mine" });
  assert.throws(
    () => client.request("kernel_info_request", {}, { msgId: "mine" }),
    /"mine" is still pending/,
  );
  client.receive(reply(pending));
  assert.equal(client.request("kernel_info_request", {}, { msgId: "mine" }).id, "mine");
});

void test("a cell is done when its reply and its idle have come", () => {
  const client = new ClientProtocol();
  const pending = client.request("execute_request", {});
  const output = published(pending, "stream", { name: "stdout", text: "a" });
  assert.deepEqual(client.receive(status(pending, "busy")), [{ type: "busy", pending }]);
  assert.deepEqual(client.receive(output), [{ type: "published", pending, message: output }]);
  assert.deepEqual(types(client.receive(reply(pending))), ["replied"]);
  assert.deepEqual(client.receive(output), [{ type: "published", pending, message: output }]);
  assert.deepEqual(client.receive(status(pending, "idle")), [{ type: "done", pending }]);
  assert.deepEqual(client.receive(output), [{ type: "published", pending: undefined, message: output }]);
});

void test("the idle may come first", () => {
  const client = new ClientProtocol();
  const pending = client.request("execute_request", {});
  assert.deepEqual(client.receive(status(pending, "idle")), []);
  assert.deepEqual(types(client.receive(reply(pending))), ["replied", "done"]);
  assert.equal(client.size, 0);
});

void test("other requests are done with their reply", () => {
  const client = new ClientProtocol();
  const pending = client.request("complete_request", {});
  assert.deepEqual(types(client.receive(reply(pending))), ["replied", "done"]);
  assert.deepEqual(types(client.receive(status(pending, "idle"))), ["published"]);
  assert.equal(client.unclaimed, 0);
});

void test("a reply comes once and on the channel of its request", () => {
  const client = new ClientProtocol();
  const pending = client.request("execute_request", {});
  assert.deepEqual(client.receive(reply(pending, "control")), []);
  client.receive(reply(pending));
  assert.deepEqual(client.receive(reply(pending)), []);
  client.receive(status(pending, "idle"));
  assert.deepEqual(client.receive(reply(pending)), []);
  assert.equal(client.unclaimed, 3);
});

void test("a question and its answer", () => {
  const client = new ClientProtocol();
  const pending = client.request("execute_request", {});
  const question = message("stdin", "input_request", pending.request.header, { prompt: "?" });
  assert.deepEqual(client.receive(question), [{ type: "inputRequested", pending, message: question }]);
  const answer = client.answer(question, "yes");
  assert.deepEqual(
    [answer.channel, answer.header.msg_type, answer.parent_header.msg_id, answer.content],
    ["stdin", "input_reply", "k", { value: "yes" }],
  );
  assert.deepEqual(client.receive(message("stdin", "odd", pending.request.header, {})), []);
  client.forget(pending);
  assert.deepEqual(client.receive(question), []);
  assert.equal(client.unclaimed, 1);
});

void test("what was forgotten belongs to nobody", () => {
  const client = new ClientProtocol();
  const pending = client.request("execute_request", {}, { msgId: "1" });
  client.forget(pending);
  const again = client.request("execute_request", {}, { msgId: "1" });
  client.forget(pending); // not the one that has its id now
  assert.deepEqual(client.pending, [again]);
});

for (const channel of CHANNELS) {
  void test(`odd messages on ${channel} are nobody's`, () => {
    for (const content of [null, [], "text", {}, { execution_state: [] }]) {
      for (const parent of [{}, { msg_id: null }, { msg_id: [] }, { msg_id: {} }, { msg_id: "x" }]) {
        const client = new ClientProtocol();
        const pending = client.request("execute_request", {});
        const events = client.receive(message(channel, "status", parent, content));
        const isObject = typeof content === "object" && content !== null && !Array.isArray(content);
        if (channel === "iopub" && isObject) {
          assert.deepEqual([types(events), events[0]?.pending], [["published"], undefined]);
        } else {
          assert.deepEqual([events, client.unclaimed], [[], 1]);
        }
        assert.deepEqual(client.pending, [pending]);
      }
    }
  });
}

void test("a status of another kind is an output", () => {
  const client = new ClientProtocol();
  const pending = client.request("execute_request", {});
  for (const state of [undefined, [], "starting"]) {
    assert.deepEqual(types(client.receive(status(pending, state))), ["published"]);
  }
});

void test("in any order each request is done once", () => {
  let seed = 1;
  const random = (below: number) => (seed = (seed * 48271) % 2147483647) % below;
  for (let round = 0; round < 50; round++) {
    const client = new ClientProtocol();
    const requests = ["execute_request", "complete_request", "kernel_info_request"];
    const filed = Array.from({ length: 100 }, () => client.request(requests[random(3)] ?? "", {}));
    const coming = filed.flatMap((one) => [status(one, "busy"), status(one, "idle"), reply(one), reply(one)]);
    for (let i = coming.length - 1; i > 0; i--) coming.push(...coming.splice(random(i + 1), 1));
    const done = coming
      .flatMap((one) => client.receive(one))
      .flatMap((event) => (event.type === "done" ? [event.pending.id] : []));
    assert.deepEqual(done.sort(), filed.map(({ id }) => id).sort());
    assert.deepEqual([client.size, client.unclaimed], [0, filed.length]); // the second reply of each
  }
});
