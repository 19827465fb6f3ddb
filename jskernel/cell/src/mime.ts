/**
 * Data of a display, as an element: the richest form that a browser can show, in the order of JupyterLab's renderers, but
 * for scripts and JSON: where there is a form for people, too, it is shown.
 *
 * A reader runs the page's code in the page: what it puts out is trusted, as in a notebook, and its scripts run. In a
 * cell with `sandbox` HTML comes into a frame with an origin of its own, and scripts outside it do not run.
 */

import { colored } from "./ansi.js";
import { renderJSON } from "./json.js";
import { make } from "./shell.js";
import type { MimeBundle } from "@laneway/kernel";

export interface RenderContext {
  sandbox: boolean;
  /** Show the widget of this model in a place. */
  widget(modelId: string, place: HTMLElement): Promise<void>;
}

type Renderer = (data: string, context: RenderContext, bundle: MimeBundle, name: string) => HTMLElement;

const WIDGET = "application/vnd.jupyter.widget-view+json";

/** By type, the best first. */
const RENDERERS: [type: RegExp, Renderer][] = [
  [/^text\/html$/, html],
  [/^text\/markdown$/, markdown],
  [/^text\/latex$/, latex],
  [
    /^image\/svg\+xml$/,
    (data, _, bundle) => picture(`data:image/svg+xml,${encodeURIComponent(data)}`, bundle),
  ],
  [
    /^image\/(png|jpeg|gif|webp|bmp|avif)$/,
    (data, _, bundle, name) => picture(`data:${name};base64,${data.trim()}`, bundle),
  ],
  [/^application\/pdf$/, pdf],
  [/^(video|audio)\//, media],
  [/^application\/javascript$|^text\/javascript$/, script],
];

/** Render the best form of a bundle, nothing of an empty one; `metadata` are those of the output. */
export function render(
  bundle: MimeBundle,
  metadata: Record<string, unknown>,
  context: RenderContext,
): HTMLElement {
  const block = make("div", { className: "laneway-display" });
  if (Object.keys(bundle).length === 0) return block; // what showed a progress has gone
  const view = bundle[WIDGET] as { model_id?: unknown } | undefined;
  if (typeof view?.model_id === "string") {
    block.dataset.widget = view.model_id;
    context.widget(view.model_id, block).catch((error: unknown) => {
      block.replaceChildren(
        make("p", { className: "laneway-said", textContent: String((error as Error).message ?? error) }),
      );
    });
    return block;
  }
  for (const [pattern, renderer] of RENDERERS) {
    const name = Object.keys(bundle).find((name) => pattern.test(name));
    if (name === undefined) continue;
    // styles of what is isolated are its own, and so it has a frame
    const sandbox = context.sandbox || isIsolated(metadata) || isIsolated(metadata[name]);
    const shown = renderer(text(bundle[name]), { ...context, sandbox }, bundle, name);
    size(shown, metadata[name]);
    block.append(shown);
    return block;
  }
  const json = Object.keys(bundle).find((name) => /^application\/(.*\+)?json$/.test(name));
  if (json !== undefined && (json === "application/json" || bundle["text/plain"] === undefined)) {
    block.append(renderJSON(bundle[json], metadata[json] ?? metadata));
  } else {
    const plain = bundle["text/plain"];
    const said = `This output has no form that can be shown here (${Object.keys(bundle).join(", ")}).`;
    const pre = make("pre", { className: "laneway-text" });
    block.append(colored(pre, plain === undefined ? said : text(plain)));
  }
  return block;
}

/** Notebooks have lists of lines, too. */
function text(value: unknown): string {
  return Array.isArray(value) ? value.join("") : String(value);
}

function isIsolated(metadata: unknown): boolean {
  return (metadata as { isolated?: unknown } | null | undefined)?.isolated === true;
}

function size(shown: HTMLElement, metadata: unknown): void {
  if (typeof metadata !== "object" || metadata === null || !(shown instanceof HTMLImageElement)) return;
  const { width, height, unconfined, needs_background: ground } = metadata as Record<string, unknown>;
  if (typeof width === "number") shown.width = width;
  if (typeof height === "number") shown.height = height;
  shown.classList.toggle("laneway-unconfined", unconfined === true);
  if (ground === "light") shown.style.background = "#fff";
  if (ground === "dark") shown.style.background = "#111";
}

function html(source: string, { sandbox }: RenderContext): HTMLElement {
  if (sandbox) return frame(source);
  const place = make("div", { className: "laneway-html" });
  // scripts of such a fragment run when it is put into the page
  place.append(document.createRange().createContextualFragment(source));
  void typeset(place);
  return place;
}

/** A frame with an origin of its own: what is in it can reach neither the page nor its storage. */
function frame(source: string): HTMLIFrameElement {
  const shown = make("iframe", { className: "laneway-sandbox", title: "Output" });
  shown.setAttribute("sandbox", "allow-scripts");
  // it says how high it is, where its scripts may run
  const measure = `<script>new ResizeObserver(() => parent.postMessage({lanewayHeight: document.documentElement.offsetHeight}, "*")).observe(document.documentElement)</${"script"}>`;
  shown.srcdoc = `<!doctype html><meta charset="utf-8"><style>body{margin:0;font:1rem system-ui,sans-serif}</style>${measure}${source}`;
  const listen = ({ source: from, data }: MessageEvent) => {
    if (shown.dataset.there && !shown.isConnected) removeEventListener("message", listen);
    if (from !== shown.contentWindow || from === null) return;
    shown.dataset.there = "yes";
    const height = (data as { lanewayHeight?: unknown } | null)?.lanewayHeight;
    if (typeof height === "number") shown.style.height = `${Math.min(Math.max(height, 8), 4000)}px`;
  };
  addEventListener("message", listen);
  return shown;
}

function markdown(source: string, { sandbox }: RenderContext): HTMLElement {
  const place = make("div", { className: "laneway-markdown" });
  place.textContent = source;
  void import("./markdown.js").then(async ({ renderMarkdown }) => {
    place.replaceChildren(renderMarkdown(source));
    if (sandbox) for (const link of place.querySelectorAll("a")) link.rel = "noopener noreferrer";
    await typeset(place);
  }, unloaded(place));
  return place;
}

function latex(source: string): HTMLElement {
  const place = make("div", { className: "laneway-latex", textContent: source });
  void typeset(place);
  return place;
}

/** Typeset the formulas in it, if there are any. */
export async function typeset(place: HTMLElement): Promise<void> {
  if (!/\$|\\[([]|\\begin\{/.test(place.textContent)) return;
  try {
    const { typeset } = await import("./latex.js");
    await typeset(place);
  } catch (error) {
    unloaded(place)(error);
  }
}

/** What could not be loaded leaves the source to be read. */
function unloaded(place: HTMLElement): (error: unknown) => void {
  return (error) => {
    place.title = "It could not be rendered: reload the page.";
    console.error("Laneway: a renderer could not be loaded.", error);
  };
}

function picture(src: string, { "text/plain": said }: MimeBundle): HTMLElement {
  // what Python says of it, unless that is only the name of its class
  const name = text(said ?? "");
  const alt = /^(<.*>)?$/s.test(name) ? "A picture without a description" : name;
  return make("img", { src, alt });
}

function pdf(data: string): HTMLElement {
  const bytes = Uint8Array.from(atob(data.trim()), (character) => character.charCodeAt(0));
  const href = URL.createObjectURL(new Blob([bytes], { type: "application/pdf" }));
  return make("a", { href, target: "_blank", rel: "noopener", textContent: "Open the PDF" });
}

function media(data: string, _: RenderContext, __: MimeBundle, name: string): HTMLElement {
  const player = make(name.startsWith("video/") ? "video" : "audio", { controls: true });
  player.src = `data:${name};base64,${data.trim()}`;
  return player;
}

function script(source: string, { sandbox }: RenderContext): HTMLElement {
  const element = make("div", { className: "laneway-script" });
  if (sandbox) {
    element.textContent = "A script, which does not run in this cell.";
    return element;
  }
  try {
    // eslint-disable-next-line @typescript-eslint/no-implied-eval, @typescript-eslint/no-unsafe-call -- as JupyterLab
    new Function("element", source)(element);
  } catch (error) {
    element.append(make("p", { className: "laneway-said", textContent: `Javascript ${String(error)}` }));
  }
  return element;
}
