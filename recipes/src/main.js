/** The same program for each bundler: the kernel folder lies beside the page, and is not bundled. */

import { launch } from "@laneway/kernel/browser";

const kc = launch({ kernelURL: "kernel/" });
await kc.start();
const { result } = await kc.execute("6 * 7").done;
document.body.append(`The answer is ${String(result?.["text/plain"])}.`);
