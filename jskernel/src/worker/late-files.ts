/**
 * The files of a kernel that has started without them: they come after its first reply, or at the moment at which Python
 * looks for one.
 *
 * Where Python was restored from a snapshot, it knows what is in its folders, and the folders are empty. They are watched
 * with the file system's own operations (`node_ops` of Emscripten's MEMFS, whose seam this is): the first look into one of
 * them gets the files by a synchronous request. All files have the date that they had where the snapshot was made, so
 * that what Python knows stays true.
 *
 * Where some of the files are there from the beginning, Python's import system asks for the others (`late.py`).
 */

import type { Manifest, QuickStart } from "../common/index.js";
import type { Downloads } from "./download.js";
import type { FileSystem, Pyodide, PyProxy } from "./pyodide.js";

/** The date of every file, see `make_start.mjs`. */
const DATE = 315_532_800_000;

/** Gets what lies at these addresses; none where it cannot. */
export type Load = (urls: string[]) => Promise<ArrayBuffer[]>;

export class LateFiles {
  #pyodide: Pyodide;
  #downloads: Downloads;
  #stdlib: string;
  #rest: string;
  #there = false;
  #unwatch: () => void = () => undefined;
  #written: () => void = () => undefined;

  constructor(pyodide: Pyodide, downloads: Downloads, { stdlib }: Manifest, { rest }: QuickStart) {
    this.#pyodide = pyodide;
    this.#downloads = downloads;
    this.#stdlib = stdlib;
    this.#rest = rest;
  }

  /** Wait for who imports what is not there. */
  awaitImports(): void {
    const module = this.#pyodide.pyimport("laneway.apps.late") as LateModule;
    const finder = module.LateFinder(() => this.loadNow());
    module.destroy();
    this.#written = () => {
      finder.done();
      finder.destroy();
    };
  }

  /** Get the files, while other things go on. Where code may run meanwhile that blocks, others must `load` them. */
  async load(load?: Load): Promise<void> {
    if (this.#there) return;
    const paths = [this.#stdlib, this.#rest];
    const loaded = await load?.(paths.map((path) => this.#downloads.url(path)));
    if (this.#there) return;
    const [stdlib, rest] = await Promise.all([
      this.#downloads.get(this.#stdlib, { loaded: loaded?.[0] }),
      this.#downloads.get(this.#rest, { unpack: true, loaded: loaded?.[1] }),
    ]);
    if (!this.#there) this.#write(stdlib, rest);
  }

  /** Get the files now. */
  loadNow(): void {
    if (this.#there) return;
    this.#write(this.#downloads.getNow(this.#stdlib), this.#downloads.getNow(this.#rest));
  }

  /** Wait for who looks into Python's folders, which are empty. */
  watch(): void {
    const { FS } = this.#pyodide;
    const { library, site, zip } = folders(FS);
    FS.unlink(zip); // Pyodide needed one
    const watched = [library, site].map((path) => {
      const { node } = FS.lookupPath(path);
      const original = node.node_ops;
      node.mtime = node.ctime = DATE;
      node.node_ops = {
        ...original,
        lookup: (parent, name) => {
          this.loadNow();
          return FS.lookupNode(parent, name);
        },
        readdir: (parent) => {
          this.loadNow();
          return original.readdir(parent);
        },
      };
      return () => void (node.node_ops = original);
    });
    this.#unwatch = () => watched.forEach((undo) => undo());
  }

  #write(stdlib: Uint8Array, rest: Uint8Array): void {
    this.#there = true; // hence nobody who looks from now on gets them once more
    this.#unwatch();
    const { FS } = this.#pyodide;
    const { library, site, zip } = folders(FS);
    FS.writeFile(zip, stdlib, { canOwn: true });
    const written = writeFiles(FS, site, rest);
    for (const path of [zip, ...written, site, library]) {
      const { node } = FS.lookupPath(path);
      node.mtime = node.ctime = DATE;
    }
    this.#written();
  }
}

interface LateModule extends PyProxy {
  LateFinder(load: () => void): PyProxy & { done(): void };
}

/** Write packed files (see `make_start.mjs`) into a folder; returns the paths of all files and folders. */
export function writeFiles(FS: FileSystem, folder: string, packed: Uint8Array): string[] {
  const start = 4 + new DataView(packed.buffer, packed.byteOffset).getUint32(0, true);
  const index = JSON.parse(new TextDecoder().decode(packed.subarray(4, start))) as [string, number, number][];
  const made = new Set<string>();
  const paths = index.map(([name, offset, size]) => {
    const path = `${folder}/${name}`;
    const parent = path.slice(0, path.lastIndexOf("/"));
    if (!made.has(parent)) {
      made.add(parent);
      FS.mkdirTree(parent);
    }
    FS.writeFile(path, packed.subarray(start + offset, start + offset + size), { canOwn: true });
    return path;
  });
  return [...paths, ...made];
}

/** Where Python's files are: the folder of all, that of packages, and the archive of its own library. */
export function folders(FS: FileSystem): { library: string; site: string; zip: string } {
  const python = FS.readdir("/lib").find((name) => /^python3\.\d+$/.test(name)) ?? "";
  return {
    library: "/lib",
    site: `/lib/${python}/site-packages`,
    zip: `/lib/${python.replace(".", "")}.zip`,
  };
}
