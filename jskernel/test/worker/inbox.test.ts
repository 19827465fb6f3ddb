// Both ends together, without a worker: what a page sends by mailbox and by postMessage comes in the order of sending.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createMailbox, encode } from "@laneway/kernel";
import type { Channel, Envelope, ToWorker } from "@laneway/kernel";
import { Outbox } from "#lib/browser/mailbox.js";
import { MailboxInbox } from "#lib/worker/inbox.js";

/** A page and its worker; what is posted waits until `deliver`, as if the worker computed until then. */
class Pair {
  received: string[] = [];
  posted: ToWorker[] = [];
  asked: [number, string | undefined][] = [];
  inbox: MailboxInbox;
  outbox: Outbox;
  onReceive: () => void = () => undefined;

  constructor(size?: number) {
    const mailbox = createMailbox(size);
    this.outbox = new Outbox(mailbox, (message) => this.posted.push(message));
    this.inbox = new MailboxInbox(mailbox, {
      message: (envelope) => {
        this.received.push(name(envelope));
        this.onReceive();
      },
      stop: () => this.received.push("stop"),
      room: () => this.outbox.flush(),
      taken: () => undefined,
      fetch: (id, url) => this.asked.push([id, url]),
    });
  }

  send(
    id: string,
    msg_type: string,
    channel: Channel = "shell",
    buffers: ArrayBuffer[] = [],
    size = 0,
  ): void {
    const header = { msg_id: id, msg_type, session: "", username: "", date: "", version: "5.5" };
    const content = { text: "x".repeat(size) };
    this.outbox.send(encode({ channel, header, parent_header: {}, metadata: {}, content, buffers }));
  }

  deliver(): void {
    for (const message of this.posted.splice(0)) {
      if (message.type === "mail") this.inbox.bell();
      else if (message.type === "message") this.inbox.posted(message);
    }
  }
}

function name({ message }: Envelope): string {
  return (JSON.parse(new TextDecoder().decode(message)) as { header: { msg_id: string } }).header.msg_id;
}

void test("nothing is handed over before the kernel runs, and then all in order", () => {
  const pair = new Pair();
  pair.send("a", "execute_request");
  pair.send("b", "comm_open", "shell", [new ArrayBuffer(1)]);
  pair.send("c", "execute_request");
  pair.deliver();
  assert.equal(pair.inbox.empty, true);
  assert.deepEqual(pair.received, []);
  pair.inbox.open();
  assert.deepEqual(pair.received, ["a", "b", "c"]);
});

void test("a drain takes what no doorbell has told of; the doorbell finds nothing then", () => {
  const pair = new Pair();
  pair.inbox.open();
  pair.send("a", "kernel_info_request");
  pair.inbox.drain();
  assert.deepEqual(pair.received, ["a"]);
  pair.deliver();
  assert.deepEqual(pair.received, ["a"]);
});

void test("cells and comms wait for the buffers of one before them; the rest does not", () => {
  const pair = new Pair();
  pair.inbox.open();
  pair.send("a", "comm_msg", "shell", [new ArrayBuffer(1)]);
  pair.send("b", "comm_msg");
  pair.send("c", "complete_request");
  pair.send("d", "execute_request");
  pair.send("e", "interrupt_request", "control");
  pair.send("f", "comm_info_request");
  pair.send("g", "comm_close", "shell", [new ArrayBuffer(1)]);
  pair.send("h", "execute_request");
  pair.inbox.drain();
  assert.deepEqual(pair.received, ["c", "e", "f"]);
  pair.deliver();
  assert.deepEqual(pair.received, ["c", "e", "f", "a", "b", "d", "g", "h"]);
});

void test("a message that is longer than the ring has room for goes beside it", () => {
  const pair = new Pair(1 << 12);
  pair.inbox.open();
  pair.send("a", "execute_request", "shell", [], 1 << 14);
  pair.send("b", "execute_request");
  pair.deliver();
  assert.deepEqual(pair.received, ["a", "b"]);
});

void test("what the ring has no room for waits in the page, in order", () => {
  const pair = new Pair(1 << 12);
  pair.inbox.open();
  const ids = Array.from({ length: 200 }, (_, i) => String(i));
  for (const id of ids) pair.send(id, "execute_request");
  pair.outbox.stop();
  assert.equal(pair.posted.length, 1);
  while (pair.received.length < 201) pair.inbox.drain();
  assert.deepEqual(pair.received, [...ids, "stop"]);
});

void test("a message that comes while another is handed over is handed over after it", () => {
  const pair = new Pair();
  pair.inbox.open();
  const nested: boolean[] = [];
  pair.onReceive = () => {
    nested.push(pair.inbox.empty);
    pair.inbox.drain();
  };
  pair.send("a", "execute_request");
  pair.send("b", "execute_request");
  pair.inbox.drain();
  assert.deepEqual(pair.received, ["a", "b"]);
  assert.deepEqual(nested, [true, true]);
});

void test("a file comes in parts, between messages; of one that is not wanted any more nothing is taken", () => {
  const pair = new Pair(1024);
  pair.inbox.open();
  const note = { id: 1, status: 200, total: 0, ended: false };
  pair.inbox.fetch("a.whl");
  pair.outbox.note(note);
  pair.outbox.part(new Uint8Array(3000).fill(1));
  const file = pair.inbox.fetch("b.whl")!;
  pair.send("x", "kernel_info_request");
  pair.outbox.note({ ...note, id: 2, total: 3000 });
  pair.outbox.part(new Uint8Array(3000).fill(2));
  pair.outbox.note({ ...note, id: 2, total: 3000, ended: true });
  for (let turn = 0; turn < 100 && !file.ended; turn++) pair.inbox.drain(); // the mailbox is smaller than they are
  assert.deepEqual(pair.received, ["x"]);
  assert.deepEqual(pair.asked, [
    [1, "a.whl"],
    [2, "b.whl"],
  ]);
  assert.deepEqual([file.status, file.received, file.total, file.ended], [200, 3000, 3000, true]);
  assert.deepEqual(file.content(), new Uint8Array(3000).fill(2));
  assert.equal(pair.inbox.fetch(), undefined);
});
