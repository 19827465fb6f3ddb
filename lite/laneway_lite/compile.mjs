/**
 * Runs `bytecode.py` inside Pyodide: `node compile.mjs PYODIDE_FOLDER BYTECODE_PY JOBS_JSON`. Sources and targets of
 * the jobs are files of this machine.
 */
import { readFile, writeFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

const [folder, program, jobs] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(`${folder}/pyodide.mjs`).href);
const { PYTHONNODEBUGRANGES = "" } = process.env;
const pyodide = await loadPyodide({ indexURL: folder, env: { HOME: "/home/pyodide", PYTHONNODEBUGRANGES } });
pyodide.FS.writeFile("/home/pyodide/bytecode.py", await readFile(program));
const main = pyodide.runPython("import pathlib, bytecode; lambda jobs: bytecode.main(pathlib.Path(jobs))");
for (const [source, target, ...rest] of JSON.parse(await readFile(jobs, "utf8"))) {
  pyodide.FS.writeFile("/tmp/source", await readFile(source));
  pyodide.FS.writeFile("/tmp/jobs", JSON.stringify([["/tmp/source", "/tmp/target", ...rest]]));
  main("/tmp/jobs");
  await writeFile(target, pyodide.FS.readFile("/tmp/target"));
}
