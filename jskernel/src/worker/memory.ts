/**
 * Ends memory at 2 GiB. Above, Pyodide (314) hands JavaScript other bytes than it should, since it takes addresses for
 * signed numbers there: messages would arrive as nonsense. A cell that wants more gets a MemoryError, and the kernel
 * lives.
 */

const LIMIT = 2 ** 31;
const PAGE = 2 ** 16;
const { prototype } = WebAssembly.Memory;
// eslint-disable-next-line @typescript-eslint/unbound-method -- it is called on the memory that grows
const { grow } = prototype;

export function limitMemory(): void {
  prototype.grow = function (pages) {
    if (this.buffer.byteLength + pages * PAGE > LIMIT) throw new RangeError("Memory ends at 2 GiB.");
    return grow.call(this, pages);
  };
}
