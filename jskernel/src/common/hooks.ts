/** Calls user code on behalf of the reader, which neither waits for it nor fails with it. */

export function callHook<Arguments extends unknown[]>(
  hook: (...values: Arguments) => unknown,
  ...values: Arguments
): void {
  const failed = (error: unknown) => console.error("Laneway: a callback has failed.", error);
  try {
    Promise.resolve(hook(...values)).catch(failed);
  } catch (error) {
    failed(error);
  }
}
