/**
 * Whether a cell stands on a light or a dark ground, which its colours follow. Themes switch in many ways (an attribute,
 * a class, the system's setting); what they have in common is the colour of the text.
 */

const followed = new Set<HTMLElement>();
let watching = false;
let scheduled = false;

/** Keep `data-scheme` of the cell at `light` or `dark`. */
export function followScheme(cell: HTMLElement): void {
  followed.add(cell);
  // all that are made together: the page's styles are computed once
  if (!scheduled) queueMicrotask(renew);
  scheduled = true;
  if (watching) return;
  watching = true;
  const observer = new MutationObserver(() => requestAnimationFrame(renew));
  for (const element of [document.documentElement, document.body]) {
    observer.observe(element, { attributes: true });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", renew);
  addEventListener("load", renew);
}

function renew(): void {
  scheduled = false;
  for (const cell of followed) if (!cell.isConnected) followed.delete(cell);
  const changed = [...followed].map((cell) => [cell, schemeOf(cell)] as const);
  for (const [cell, scheme] of changed) {
    if (cell.dataset.scheme === scheme) continue;
    cell.dataset.scheme = scheme;
    cell.dispatchEvent(new Event("laneway-scheme"));
  }
}

function schemeOf(cell: HTMLElement): "light" | "dark" {
  // of the parent: the cell's own follows
  const ink = getComputedStyle(cell.parentElement ?? cell).color;
  return luminance(ink) > 0.5 ? "dark" : "light";
}

/** Of `rgb(r, g, b)`, roughly, from 0 to 1. */
function luminance(color: string): number {
  const [red = 0, green = 0, blue = 0] = (color.match(/[\d.]+/g) ?? []).map(Number);
  return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255;
}
