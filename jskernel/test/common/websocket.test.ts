import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeWebSocket, encodeWebSocket, ProtocolError } from "@laneway/kernel";
import type { Message } from "@laneway/kernel";

const header = { msg_id: "1", msg_type: "comm_msg", session: "s", username: "", date: "", version: "5.5" };

function message(buffers: ArrayBuffer[] = []): Message {
  const content = { text: "é 🐍 \u0000", nested: [1, null] };
  return { channel: "shell", header, parent_header: {}, metadata: { a: 1 }, content, buffers };
}

void test("a message comes back as it was, with its buffers in order", () => {
  for (const buffers of [[], [new Uint8Array([1, 2, 3]).buffer, new ArrayBuffer(0), new ArrayBuffer(1e6)]]) {
    const sent = message(buffers);
    assert.deepEqual(decodeWebSocket(encodeWebSocket(sent).buffer), sent);
  }
});

void test("the bytes are those of the specification", () => {
  const bytes = encodeWebSocket({ ...message(), header, metadata: {}, content: {} });
  const numbers = new BigUint64Array(bytes.slice(0, 56).buffer);
  const length = JSON.stringify(header).length;
  const offsets = [56, 61, 61 + length, 63 + length, 65 + length, 67 + length];
  assert.deepEqual([...numbers].map(Number), [6, ...offsets]);
  assert.equal(new TextDecoder().decode(bytes.subarray(56)), `shell${JSON.stringify(header)}{}{}{}`);
});

void test("no truncated message is taken, and each is refused with a sentence", () => {
  const bytes = encodeWebSocket(message([new ArrayBuffer(3)]));
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => decodeWebSocket(bytes.slice(0, length).buffer), ProtocolError);
  }
});

void test("what is changed on its way is refused, or another message, and nothing worse", () => {
  let seed = 1;
  const random = (below: number) => (seed = (seed * 48271) % 2147483647) % below;
  const bytes = encodeWebSocket(message([new ArrayBuffer(3)]));
  let refused = 0;
  for (let round = 0; round < 5000; round++) {
    const changed = bytes.slice();
    changed[random(changed.length)] = random(256);
    try {
      decodeWebSocket(changed.buffer);
    } catch (error) {
      assert(error instanceof ProtocolError, String(error));
      refused++;
    }
  }
  assert(refused > 1000, String(refused));
});
