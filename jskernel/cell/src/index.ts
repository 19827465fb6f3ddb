/**
 * What a page loads: the element, asleep. All else comes when a cell wakes (`awake.ts`).
 *
 * | file | loaded | holds |
 * |---|---|---|
 * | `laneway-cells.js` | with the page | `element.ts`, `shell.ts`, the style sheets |
 * | `awake-*.js` | when the first cell is used | the kernel's client, outputs |
 * | `editor-*.js` | when the first cell is edited | CodeMirror |
 * | `debugging-*.js` | with the editor of the first cell that can be debugged | what is shown where code has stopped |
 * | `markdown-*.js`, `latex-*.js`, `widgets-*.js` | when one is shown | what their names say |
 */

import { LanewayCell } from "./element.js";

export { LanewayCell } from "./element.js";
export { useClient } from "./settings.js";

declare global {
  interface HTMLElementTagNameMap {
    "laneway-cell": LanewayCell;
  }
}

// a page may have the script twice, or in two versions: the first one stays
if (!customElements.get("laneway-cell")) customElements.define("laneway-cell", LanewayCell);
