/**
 * Gives every error a `stack`. In WebKit those that arise in no JavaScript code have none (that of a failed fetch, say),
 * and Pyodide takes an object without one for no error: whoever awaited the promise that it rejects waited for ever.
 */

export function completeErrors(): void {
  if ("stack" in Error.prototype) return;
  // an error's own comes first, and may be written as before
  Object.defineProperty(Error.prototype, "stack", { value: "", writable: true, configurable: true });
}
