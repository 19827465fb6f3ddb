/**
 * A memory snapshot as `make_start.mjs` writes it: Pyodide's own, without the pages that are zero, and of the part that
 * the module's own data fills only the difference to it. A third of the memory is zero, and is not even touched here: a
 * kernel takes that much less.
 *
 *     Uint32: length of Pyodide's header; length of the heap; length of the part that is a difference; number of runs
 *     Uint32 × 2 for each run: where in the heap it begins and ends, in bytes
 *     Pyodide's header
 *     the runs, one after the other
 */

const WORDS = 4;
const DIFFERENCE = 2;

export class Snapshot {
  /** The same, with differences until `resolve`. Can be handed to another worker. */
  readonly bytes: Uint8Array;

  #words: Uint32Array;
  #header: number;
  #size: number;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#words = new Uint32Array(bytes.buffer, 0, WORDS);
    const [header = 0, size = 0, , runs = 0] = this.#words;
    this.#header = header;
    this.#size = size;
    this.#words = new Uint32Array(bytes.buffer, 0, WORDS + 2 * runs);
  }

  /** Make room in the memory of an instance that has not run yet, and take what is in it for the differences. */
  resolve(memory: WebAssembly.Memory): void {
    const missing = this.#size - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / 2 ** 16));
    const length = this.#words[DIFFERENCE]!;
    for (const [from, to, data] of this.#runs()) {
      if (from >= length) break;
      const end = Math.min(to, length);
      const fresh = new Uint32Array(memory.buffer, from, (end - from) / 4);
      const saved = new Uint32Array(data.buffer, data.byteOffset, fresh.length);
      for (let at = 0; at < fresh.length; at++) saved[at]! ^= fresh[at]!;
    }
    this.#words[DIFFERENCE] = 0;
  }

  /**
   * What Pyodide takes for a whole snapshot. It reads the header, and copies what `subarray` gives it for the rest into
   * the memory of the instance: nothing, for then that is done here.
   */
  forPyodide(memory: () => WebAssembly.Memory): Uint8Array {
    const start = this.#words.byteLength;
    const header = this.bytes.slice(start, start + this.#header); // no TextDecoder reads shared memory
    const subarray = (from: number, to?: number) => {
      if (to !== undefined) return Uint8Array.prototype.subarray.call(header, from, to);
      this.#copy(memory().buffer);
      return new Uint8Array(0);
    };
    return Object.defineProperties(header, {
      length: { value: this.#header + this.#size },
      subarray: { value: subarray },
    });
  }

  #copy(heap: ArrayBuffer): void {
    const all = new Uint8Array(heap);
    let done = 0;
    for (const [from, to, data] of this.#runs()) {
      clear(heap, done, from);
      all.set(data, from);
      done = to;
    }
    clear(heap, done, heap.byteLength);
  }

  *#runs(): Generator<[number, number, Uint8Array]> {
    let at = this.#words.byteLength + this.#header;
    for (let index = WORDS; index < this.#words.length; index += 2) {
      const from = this.#words[index]!;
      const to = this.#words[index + 1]!;
      yield [from, to, this.bytes.subarray(at, at + to - from)];
      at += to - from;
    }
  }
}

/** Make zero what is not: a page of which nothing is written takes no memory. */
function clear(heap: ArrayBuffer, from: number, to: number): void {
  const words = new Uint32Array(heap, from, (to - from) / 4);
  for (let at = 0; at < words.length; at++) if (words[at] !== 0) words[at] = 0;
}
