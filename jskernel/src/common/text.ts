/** Positions in code: the protocol counts code points, JavaScript's strings and text fields UTF-16 units. */

/** The position in code points of the index `index` of `code`. */
export function toCodePoints(code: string, index: number): number {
  return [...code.slice(0, index)].length;
}

/** The index in `code` of the position `position` in code points. */
export function fromCodePoints(code: string, position: number): number {
  return [...code].slice(0, position).join("").length;
}
