/**
 * Writes src/common/dap.ts: DAP's types as they are published in @vscode/debugprotocol, but for one word. TypeScript 6
 * refuses `module` where a namespace is meant, in the declarations of a dependency, too: who uses this package would
 * have to check none of them (`skipLibCheck`).
 */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const { resolve } = createRequire(import.meta.url);
const read = (file) => readFileSync(resolve(`@vscode/debugprotocol/${file}`), "utf8");

const [types, license] = [read("lib/debugProtocol.d.ts"), read("License.txt")];
if (!types.includes("export declare module DebugProtocol "))
  throw new Error("DAP's types have changed: look at dap.mjs.");
const source = `/*\n${license.trim()}\n*/\n\n${types.replace("export declare module", "export declare namespace")}`;
const file = new URL("src/common/dap.ts", import.meta.url);
// a file that is not written anew is not compiled anew
if (!existsSync(file) || readFileSync(file, "utf8") !== source) writeFileSync(file, source);
