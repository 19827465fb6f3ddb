/**
 * Compiles archives to bytecode inside Pyodide: `node compile.mjs PYODIDE_FOLDER BYTECODE_PY JOBS_JSON`.
 *
 * JOBS_JSON is a file with a list of [source, target, directory, cached], the arguments of
 * `bytecode.compile_archive`. Prints one line per archive when it is done.
 */
import { readFile, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, program, jobs] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(`${folder}/pyodide.mjs`).href);
const pyodide = await loadPyodide({ indexURL: folder });
pyodide.FS.writeFile("/home/pyodide/bytecode.py", await readFile(program));
const compileArchive = pyodide.runPython(`
import pathlib, bytecode
lambda source, target, directory, cached: bytecode.compile_archive(
    pathlib.Path(source), pathlib.Path(target), directory, cached=cached)
`);
for (const [source, target, directory, cached] of JSON.parse(await readFile(jobs, "utf8"))) {
  pyodide.FS.writeFile("/tmp/source", await readFile(source));
  compileArchive("/tmp/source", "/tmp/target", directory, cached);
  await writeFile(target, pyodide.FS.readFile("/tmp/target"));
  console.log(basename(target));
}
