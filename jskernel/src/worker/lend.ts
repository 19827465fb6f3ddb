/**
 * Files that are there already, lent to Pyodide while it loads. It takes addresses only; so `fetch` of this worker is
 * ours for that time, and answers those of the files.
 */

export async function lending<Result>(
  files: Record<string, Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>>>,
  action: () => Promise<Result>,
): Promise<Result> {
  const { fetch } = globalThis;
  globalThis.fetch = async (input, init) => {
    const url = input instanceof Request ? input.url : String(input);
    const file = files[url];
    return file ? new Response(await file) : await fetch(input, init);
  };
  try {
    return await action();
  } finally {
    globalThis.fetch = fetch;
  }
}
