/**
 * The editor takes the place of a `pre` that the page's theme has a look for: it takes over font, colours and spacing,
 * and the colours of the highlighter (Pygments' classes, as Sphinx writes them), where there are any.
 */

/** Pygments' class for each of our colours (`shell.css`). */
const CLASSES = {
  keyword: "k",
  string: "s1",
  comment: "c1",
  number: "mi",
  function: "nf",
  class: "nc",
  operator: "o",
  builtin: "nb",
  decorator: "nd",
};

/** Let `place` look like `source`, whenever the theme changes, too. */
export function takeLook(host: HTMLElement, source: HTMLPreElement, place: HTMLElement): void {
  // measured while it is there to be seen
  const measure = () => {
    const shown = getComputedStyle(source);
    const set = (name: string, value: string) => place.style.setProperty(`--_${name}`, value);
    set("code-ink", shown.color);
    set("code-ground", ground(host, source));
    const colors = probe(source);
    for (const [name, color] of Object.entries(colors)) {
      if (color === shown.color) place.style.removeProperty(`--_${name}`);
      else set(name, color);
    }
    // where there are only a highlighter's classes and no style sheet, or no classes at all, ours stay
  };
  const shown = getComputedStyle(source);
  const set = (name: string, value: string) => place.style.setProperty(`--_${name}`, value);
  if (parseFloat(shown.fontSize) > 0) {
    set("code-font", shown.fontFamily);
    set("code-size", shown.fontSize);
    if (shown.lineHeight !== "normal") set("code-line", shown.lineHeight);
  }
  if (parseFloat(shown.paddingTop) > 0) set("code-padding", shown.paddingTop);
  if (parseFloat(shown.paddingLeft) > 0) set("code-indent", shown.paddingLeft);
  if (shown.borderRadius !== "0px") set("radius", shown.borderRadius);
  measure();
  host.addEventListener("laneway-scheme", measure);
}

/** The first colour behind the code that is one. */
function ground(host: HTMLElement, source: HTMLElement): string {
  for (
    let element: HTMLElement | null = source;
    element && element !== host;
    element = element.parentElement
  ) {
    const { backgroundColor } = getComputedStyle(element);
    if (!/^rgba\(.*, 0\)$|^transparent$/.test(backgroundColor)) return backgroundColor;
  }
  return "transparent";
}

/** The colour of each class in this place. */
function probe(source: HTMLElement): Record<string, string> {
  const colors: Record<string, string> = {};
  for (const [name, className] of Object.entries(CLASSES)) {
    const span = Object.assign(document.createElement("span"), { className });
    source.append(span);
    colors[name] = getComputedStyle(span).color;
    span.remove();
  }
  return colors;
}
