// The other thread of mailbox.test.ts: reads to the stop, and says whether each record was what it had to be.
import { parentPort, workerData } from "node:worker_threads";
import { MailboxReader, RecordKind } from "@laneway/kernel";

const reader = new MailboxReader(workerData as SharedArrayBuffer);
const limit = ((workerData as SharedArrayBuffer).byteLength - 64) / 4;
for (let i = 0; ;) {
  const record = reader.take();
  if (!record) {
    reader.wait(1000);
  } else if (record.kind === RecordKind.Stop) {
    parentPort?.postMessage(`${i} right`);
    break;
  } else {
    const right =
      record.bytes.length === (i * 7919) % limit && record.bytes.every((byte) => byte === (i & 255));
    if (!right) {
      parentPort?.postMessage(`record ${i} is wrong`);
      break;
    }
    i++;
  }
}
