/**
 * What the worker uses of Pyodide: API that every version from 0.27 on has, so that any Pyodide a user
 * points at will do. Types of our own, because those of one version would not be true for the others.
 */

export interface PyProxy {
  destroy(): void;
}

export interface PyCallable extends PyProxy {
  (...args: unknown[]): unknown;
}

export interface Pyodide {
  readonly version: string;
  /** By name, what is loaded. */
  readonly loadedPackages: Record<string, string>;
  readonly FS: FileSystem;
  readonly PATH: unknown;
  readonly ERRNO_CODES: unknown;
  loadPackage(
    names: string[],
    options: { messageCallback: (text: string) => void; errorCallback: (text: string) => void },
  ): Promise<unknown>;
  pyimport(module: string): PyProxy;
  runPython(code: string): unknown;
  setInterruptBuffer(buffer: Uint8Array | undefined): void;
  /** Private, but in every version so far: tells of a fatal error, which else only the next call would meet. */
  readonly _api?: { on_fatal?: (error: unknown) => void };
  /** Private, too, and not needed: the stack pointer, and CPython's counter to the next look for a signal. */
  readonly _module?: {
    stackSave?: () => number;
    HEAP32?: Int32Array;
    __Py_emscripten_signal_clock?: number;
  };
}

/** The part of Emscripten's file system that is used here. */
export interface FileSystem {
  lookupPath(path: string): { node: FileSystemNode };
  /** The node of a name in a folder that has it. */
  lookupNode(parent: FileSystemNode, name: string): FileSystemNode;
  readdir(path: string): string[];
  mkdirTree(path: string): void;
  unlink(path: string): void;
  writeFile(path: string, content: Uint8Array, options: { canOwn: boolean }): void;
}

export interface FileSystemNode {
  node_ops: {
    lookup(parent: FileSystemNode, name: string): FileSystemNode;
    readdir(node: FileSystemNode): string[];
  };
  mtime: number;
  ctime: number;
}

export interface LoadOptions {
  indexURL: string;
  stdout: (text: string) => void;
  stderr: (text: string) => void;
  lockFileURL?: string;
  stdLibURL?: string;
  /** What follows newer versions have only, and the last two are nowhere promised. */
  lockFileContents?: Promise<string>;
  packageBaseUrl?: string;
  _loadSnapshot?: Promise<Uint8Array>;
}

export interface PyodideModule {
  loadPyodide: (options: LoadOptions) => Promise<Pyodide>;
}
