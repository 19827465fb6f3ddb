/**
 * Makes what lets a kernel start quickly, by running one: `node --experimental-wasm-jspi make_start.mjs PYODIDE TARGET`.
 *
 * PYODIDE is a folder with Pyodide's core, a lock and the wheels of the package `laneway` and of all that it needs. Into
 * the folder TARGET go
 *
 *     files.bin     all files of these packages, with bytecode
 *     first.bin     those of them that a kernel opens until it has answered its first cell
 *     library.bin   the same of Python's own library, an archive
 *     memory.bin    a memory snapshot of a kernel that waits for its first message
 *
 * A `.bin` of files is a 32-bit number, the length of an index; the index, JSON of [path below site-packages, offset,
 * size]; then the files. The memory is described in `jskernel/src/worker/snapshot.ts`. It needs JSPI (Node 24 or later): a
 * kernel that was saved without it never has it.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, target] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(join(folder, "pyodide.mjs")).href);
const lock = await readFile(join(folder, "pyodide-lock.json"), "utf8");

/** The date of every file, here and in a page: what Python has noted of a folder stays true. */
const DATE = 315_532_800_000;

if (!("Suspending" in WebAssembly)) throw new Error("This Node has no JSPI.");

// ---- the files

const full = await loadPyodide({ indexURL: folder, lockFileContents: lock, packageBaseUrl: `${folder}/` });
await full.loadPackage("laneway", { messageCallback() {}, checkIntegrity: false });
const [major, minor] = full.runPython("import sys; list(sys.version_info[:2])").toJs();
const SITE = `/lib/python${major}.${minor}/site-packages/`;
const ZIP = `/lib/python${major}${minor}.zip`;
await full.runPythonAsync(`
import importlib.metadata, json, os, re, struct, sys, zipfile

SITE, ZIP = ${JSON.stringify(SITE)}, ${JSON.stringify(ZIP)}
opened = set()
sys.addaudithook(lambda event, args: opened.add(str(args[0])) if event == "open" else None)

def pack(paths):
    index, parts, at = [], [], 0
    for path in sorted(paths):
        with open(path, "rb") as file:
            part = file.read()
        index.append((path.removeprefix(SITE), at, len(part)))
        parts.append(part)
        at += len(part)
    text = json.dumps(index, separators=(",", ":")).encode()
    return struct.pack("<I", len(text)) + text + b"".join(parts)

def files_of(folder):
    return {os.path.join(root, name) for root, _, names in os.walk(folder) for name in names}

files = files_of(SITE)
from laneway.apps import browser, snapshot
await snapshot.rehearse(("1+1", "print('x')"))

first, library = set(), set()
for module in list(sys.modules.values()):
    spec = getattr(module, "__spec__", None)
    origin = getattr(spec, "origin", None) or ""
    if origin.startswith(ZIP):
        library.add(origin.removeprefix(ZIP + "/"))
    elif origin.startswith(SITE):
        first.add(origin)
        first.add(spec.cached or origin)
first |= {os.path.normpath(path) for path in opened}
first &= files
with zipfile.ZipFile(ZIP) as whole, zipfile.ZipFile("/library.bin", "w") as some:
    names = set(whole.namelist())
    # what decodes names of files and text is looked for before there is a module to be seen
    library |= {name for name in names if re.match(r"encodings/(__init__|aliases|utf_8|cp437|latin_1|ascii|idna)[.]pyc", name)}
    for name in sorted(names & library):
        some.writestr(zipfile.ZipInfo(name), whole.read(name))  # the whole is compressed later
for path, packed in (("/files.bin", files), ("/first.bin", first)):
    with open(path, "wb") as file:
        file.write(pack(packed))
`);
for (const name of ["files.bin", "first.bin", "library.bin"]) {
  await writeFile(join(target, name), full.FS.readFile(`/${name}`));
}

// ---- the memory

/** The memory with which Pyodide's module begins: a part of it stays, and need not be saved. */
let fresh;
const { instantiate } = WebAssembly;
WebAssembly.instantiate = async (...args) => {
  const result = await instantiate.apply(WebAssembly, args);
  const { memory } = (result.instance ?? result).exports;
  if (memory) fresh = new Uint32Array(memory.buffer.slice(0));
  return result;
};
const pyodide = await loadPyodide({
  indexURL: folder,
  lockFileContents: lock,
  packageBaseUrl: `${folder}/`,
  env: { HOME: "/home/pyodide" },
  _makeSnapshot: true,
  _sysExecutable: "/home/pyodide/this.program",
});
const { FS } = pyodide;
const packed = Buffer.from(full.FS.readFile("/files.bin"));
const start = 4 + packed.readUInt32LE(0);
const folders = new Set();
for (const [name, offset, size] of JSON.parse(packed.subarray(4, start))) {
  const path = SITE + name;
  const parent = path.slice(0, path.lastIndexOf("/"));
  if (!folders.has(parent)) FS.mkdirTree(parent);
  folders.add(parent);
  FS.writeFile(path, packed.subarray(start + offset, start + offset + size), { canOwn: true });
  FS.utime(path, DATE, DATE);
}
for (const path of [ZIP, ...[...folders].sort((a, b) => b.length - a.length), SITE.slice(0, -1)])
  FS.utime(path, DATE, DATE);
await pyodide.runPythonAsync("from laneway.apps import browser, snapshot; await snapshot.prepare()");
pyodide.runPython("del browser, snapshot");
wash();
const strangers = [];
const memory = pyodide.makeMemorySnapshot({ serializer: (value) => strangers.push(String(value)) });
if (strangers.length > 0) throw new Error(`The memory refers to JavaScript: ${strangers.join(", ")}.`);

// Pyodide's header, whose word 1 is its length; then the heap
const header = new Uint32Array(memory.buffer, 0, 2)[1];
const heap = new Uint32Array(memory.buffer, header);
const changed = fresh.findLastIndex((word) => word !== 0) + 1;
for (let at = 0; at < changed; at++) heap[at] ^= fresh[at];
const runs = [];
const PAGE = 4096;
for (let at = 0; at < heap.length; at += PAGE / 4) {
  const end = Math.min(at + PAGE / 4, heap.length);
  // where there are differences, zero is none
  if (at >= changed && heap.subarray(at, end).every((word) => word === 0)) continue;
  const last = runs.at(-1);
  if (last && last[1] === at * 4) last[1] = end * 4;
  else runs.push([at * 4, end * 4]);
}
const parts = runs.map(([from, to]) => new Uint8Array(memory.buffer, header + from, to - from));
const head = Uint32Array.of(header, heap.length * 4, changed * 4, runs.length, ...runs.flat());
await writeFile(
  join(target, "memory.bin"),
  Buffer.concat([new Uint8Array(head.buffer), memory.subarray(0, header), ...parts]),
);
process.exit(0);

/** Overwrite the memory that was freed: what it held would be saved, too. It is had by asking for all of it. */
function wash() {
  const { _malloc, _free, _sbrk } = pyodide._module;
  const end = _sbrk(0);
  const free = [];
  for (let size = 1 << 20; size >= 8; size -= size > 1024 ? (size >> 2) & ~7 : 8) {
    for (let at = _malloc(size); ; at = _malloc(size)) {
      if (at + size > end) {
        _free(at);
        break;
      }
      pyodide._module.HEAPU8.fill(0, at, at + size);
      free.push(at);
    }
  }
  for (const at of free) _free(at);
}
