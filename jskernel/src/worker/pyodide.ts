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
  readonly FS: unknown;
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

export interface PyodideModule {
  loadPyodide(options: {
    indexURL: string;
    lockFileURL?: string;
    stdout: (text: string) => void;
    stderr: (text: string) => void;
  }): Promise<Pyodide>;
}
