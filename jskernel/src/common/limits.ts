/** How long a call may take. */

export interface Limits {
  /** Milliseconds from now until the call fails with KernelTimeoutError; without it there is no end. */
  timeoutMs?: number | undefined;
  /** Its abort ends the call, which then fails with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/**
 * What `promise` gives, unless one of the limits comes first: then it fails with `expired()`, or with the signal's
 * reason. Leaves neither timer nor listener behind. A signal that was aborted before is the caller's to look at.
 */
export async function within<Result>(
  promise: Promise<Result>,
  limits: Limits,
  expired: () => Error,
): Promise<Result> {
  let end: () => void = () => undefined;
  const reached = new Promise<never>((_, reject) => (end = limit(limits, expired, reject)));
  try {
    return await Promise.race([promise, reached]);
  } finally {
    end();
  }
}

/** Call `reached` once, with an error, when one of the limits is reached; returns how to end the watch. */
export function limit(
  { timeoutMs, signal }: Limits,
  expired: () => Error,
  reached: (error: unknown, aborted: boolean) => void,
): () => void {
  const reach = (error: unknown, aborted: boolean) => {
    end();
    reached(error, aborted);
  };
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => reach(expired(), false), timeoutMs);
  const abort = () => reach(signal?.reason, true);
  signal?.addEventListener("abort", abort);
  const end = () => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  };
  return end;
}
