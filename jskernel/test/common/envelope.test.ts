import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, encode, ProtocolError } from "@laneway/kernel";
import type { Message } from "@laneway/kernel";

const header = {
  msg_id: "1",
  msg_type: "execute_request",
  session: "s",
  username: "",
  date: "2026-01-01T00:00:00Z",
  version: "5.5",
};

function message(content: Record<string, unknown>, buffers: ArrayBuffer[] = []): Message {
  return { channel: "shell", header, parent_header: {}, metadata: { tags: ["a"] }, content, buffers };
}

function envelope(fields: unknown) {
  return { message: new TextEncoder().encode(JSON.stringify(fields)), buffers: [] };
}

void test("a message comes back as it was, with its buffers in order", () => {
  const buffers = [new Uint8Array([1, 2, 3]).buffer, new ArrayBuffer(0), new Uint8Array([255]).buffer];
  const sent = message({ code: "é 🐍 \u0000", nested: { list: [1, null, true] } }, buffers);
  assert.deepEqual(decode(encode(sent)), sent);
});

void test("a lone surrogate survives, though UTF-8 has none", () => {
  const received = decode(encode(message({ code: "a\ud800b" })));
  assert.equal(received.content.code, "a\ud800b");
});

void test("NaN and infinities become null", () => {
  const received = decode(encode(message({ values: [NaN, Infinity, -Infinity, 1.5] })));
  assert.deepEqual(received.content.values, [null, null, null, 1.5]);
});

void test("what may be missing is empty", () => {
  const received = decode(envelope({ channel: "iopub", header }));
  assert.deepEqual(
    [received.parent_header, received.metadata, received.content, received.buffers],
    [{}, {}, {}, []],
  );
});

const bad: [string, { message: Uint8Array<ArrayBuffer>; buffers: ArrayBuffer[] }, RegExp][] = [
  ["no UTF-8", { message: new Uint8Array([0xff, 0xfe]), buffers: [] }, /not JSON in UTF-8/],
  ["no JSON", { message: new TextEncoder().encode('{"channel": NaN}'), buffers: [] }, /not JSON in UTF-8/],
  ["no object", envelope([1, 2]), /not a JSON object/],
  ["an unknown channel", envelope({ channel: "shel", header }), /"shel" is none of shell, control/],
  ["no header", envelope({ channel: "shell" }), /header lacks msg_id/],
  [
    "a number as msg_type",
    envelope({ channel: "shell", header: { ...header, msg_type: 1 } }),
    /header lacks/,
  ],
  ["a list as content", envelope({ channel: "shell", header, content: [] }), /must be JSON objects/],
];
for (const [name, input, expected] of bad) {
  void test(`${name} is refused with a clear sentence`, () => {
    assert.throws(
      () => decode(input),
      (error) => error instanceof ProtocolError && expected.test(error.message),
    );
  });
}
