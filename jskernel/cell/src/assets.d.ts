/** Style sheets are bundled as text (build.mjs). */
declare module "*.css" {
  const text: string;
  export default text;
}

/** The name of a style sheet's file beside the scripts (build.mjs). */
declare const KATEX_SHEET: string;
declare const ICON_SHEET: string;

/** Upstream's bundle is an AMD module; build.mjs makes its factory the default export. */
declare module "anywidget" {
  export default function make(base: unknown): Record<string, unknown>;
}
