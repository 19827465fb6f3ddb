/** A page is to stay smooth: what many cells do at the same moment is spread over frames. */

/** Milliseconds of a frame that cells may take to be made and to wake. */
const BUDGET = 8;

let waiting = 0;
let end = 0;
let last = Promise.resolve();

/** Resolves at once, or, where cells have done enough for this frame, in the next one; in the order of the calls. */
export function turn(): Promise<void> {
  if (waiting++ === 0) end = performance.now() + BUDGET;
  last = last.then(async () => {
    if (performance.now() > end) {
      await frame();
      end = performance.now() + BUDGET;
    }
    waiting--;
  });
  return last;
}

/** Resolves when the browser has shown what there is; soon where the page is hidden. */
export function frame(): Promise<void> {
  return new Promise((resolve) => {
    if (document.hidden) setTimeout(resolve);
    else requestAnimationFrame(() => setTimeout(resolve));
  });
}
