/** How long a call may take. */

/** The longest time that `setTimeout` can count, 25 days; what is longer would fire at once. */
export const MAX_DELAY = 2 ** 31 - 1;

export interface Limits {
  /** Milliseconds from now until the call fails with KernelTimeoutError; without it, or with Infinity, there is no end. */
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
  expired?: () => Error,
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
function limit(
  { timeoutMs, signal }: Limits,
  expired: (() => Error) | undefined,
  reached: (error: unknown) => void,
): () => void {
  const reach = (error: unknown) => {
    end();
    reached(error);
  };
  checkTimeout(timeoutMs);
  const counts = timeoutMs !== undefined && timeoutMs <= MAX_DELAY;
  const timer = counts ? setTimeout(() => reach(expired?.()), timeoutMs) : undefined;
  const abort = () => reach(signal?.reason);
  signal?.addEventListener("abort", abort);
  const end = () => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  };
  return end;
}

/** Throws RangeError where it is no time. */
export function checkTimeout(timeoutMs: number | undefined): void {
  if (timeoutMs === undefined || timeoutMs >= 0) return;
  throw new RangeError(`timeoutMs is ${timeoutMs}; give a number of milliseconds from 0 to Infinity.`);
}
