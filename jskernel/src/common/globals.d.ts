/** What every page, worker and Node has and the ES libraries lack; as much of it as this package uses. */

interface AbortSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  throwIfAborted(): void;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

declare class AbortController {
  readonly signal: AbortSignal;
  abort(reason?: unknown): void;
}

declare class TextEncoder {
  encode(text: string): Uint8Array<ArrayBuffer>;
}

declare class TextDecoder {
  constructor(label: string, options: { fatal: boolean });
  decode(bytes: Uint8Array): string;
}

/** Not in Node. */
// eslint-disable-next-line no-var -- it is a property of `globalThis`, which only `var` declares
declare var crossOriginIsolated: boolean | undefined;

declare const console: { error(...items: unknown[]): void; warn(...items: unknown[]): void };
declare const crypto: { getRandomValues(bytes: Uint8Array): Uint8Array };
declare const performance: { now(): number };

declare function setTimeout(call: () => void, milliseconds: number): number;
declare function clearTimeout(timer: number | undefined): void;
