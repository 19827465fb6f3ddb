// The ring: what is written in one place is read in the other, whatever the sizes and wherever the ring turns.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { createMailbox, MailboxReader, MailboxWriter, RecordKind } from "@laneway/kernel";

const message = (...bytes: number[]) => ({ kind: RecordKind.Message, bytes: Uint8Array.from(bytes) });

void test("records come out as they went in, one after the other", () => {
  const mailbox = createMailbox(64);
  const [writer, reader] = [new MailboxWriter(mailbox), new MailboxReader(mailbox)];
  assert.equal(reader.empty, true);
  assert.equal(reader.take(), undefined);
  const records = [
    message(),
    message(1),
    message(1, 2, 3, 4, 5),
    { ...message(), kind: RecordKind.Posted },
    { ...message(), kind: RecordKind.Stop },
  ];
  for (const record of records) assert.equal(writer.put(record), true);
  assert.equal(reader.empty, false);
  assert.deepEqual(
    records.map(() => reader.take()),
    records,
  );
  assert.equal(reader.empty, true);
});

void test("a full ring takes nothing, and the page learns when there is room", () => {
  const mailbox = createMailbox(64);
  const [writer, reader] = [new MailboxWriter(mailbox), new MailboxReader(mailbox)];
  const record = message(...Array<number>(writer.limit - 4).fill(7));
  let taken = 0;
  while (writer.put(record)) taken++;
  assert.equal(taken, 4);
  assert.equal(reader.roomAwaited(), false);
  writer.awaitRoom();
  assert.deepEqual(reader.take(), record);
  assert.equal(reader.roomAwaited(), true);
  assert.equal(reader.roomAwaited(), false);
  assert.equal(writer.put(record), true);
});

void test("one doorbell for many records", () => {
  const mailbox = createMailbox(64);
  const [writer, reader] = [new MailboxWriter(mailbox), new MailboxReader(mailbox)];
  assert.deepEqual([writer.ring(), writer.ring()], [true, false]);
  reader.answerBell();
  assert.deepEqual([writer.ring(), writer.ring()], [true, false]);
});

void test("positions may pass 2^31 and 2^32", () => {
  const mailbox = createMailbox(64);
  new Int32Array(mailbox).fill(0x7ffffff0, 0, 2);
  const [writer, reader] = [new MailboxWriter(mailbox), new MailboxReader(mailbox)];
  for (let i = 0; i < 10; i++) {
    assert.equal(writer.put(message(i, i, i)), true);
    assert.equal(writer.put(message(i)), true);
    assert.deepEqual([reader.take(), reader.take()], [message(i, i, i), message(i)]);
  }
  new Int32Array(mailbox).fill(-16, 0, 2);
  for (let i = 0; i < 10; i++) {
    assert.equal(writer.put(message(i, i, i, i, i)), true);
    assert.deepEqual(reader.take(), message(i, i, i, i, i));
  }
});

void test("two threads: 20,000 records of many lengths through a small ring", async () => {
  const mailbox = createMailbox(4096);
  const writer = new MailboxWriter(mailbox);
  const reading = new Worker(new URL("./mailbox-reader.js", import.meta.url), { workerData: mailbox });
  const answer = new Promise<string>((resolve, reject) => {
    reading.once("message", resolve);
    reading.once("error", reject);
  });
  for (let i = 0; i < 20_000; i++) {
    const bytes = new Uint8Array((i * 7919) % writer.limit).fill(i);
    while (!writer.put({ kind: RecordKind.Message, bytes })) await setImmediate();
  }
  while (!writer.put({ kind: RecordKind.Stop, bytes: new Uint8Array(0) })) await setImmediate();
  assert.equal(await answer, "20000 right");
  await reading.terminate();
});
