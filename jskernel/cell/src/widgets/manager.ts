/** The Jupyter widgets of one kernel, by the libraries that JupyterLab has; loaded when the first widget is made. */

import * as base from "@jupyter-widgets/base";
import baseSheet from "@jupyter-widgets/base/css/index.css";
import { ManagerBase } from "@jupyter-widgets/base-manager";
import * as controls from "@jupyter-widgets/controls";
import lumino from "@jupyter-widgets/controls/css/lumino.css";
import sliders from "@jupyter-widgets/controls/css/nouislider.css";
import ourSliders from "@jupyter-widgets/controls/css/nouislider-custom.css";
import controlsSheet from "@jupyter-widgets/controls/css/widgets-base.css";
import { Widget } from "@lumino/widgets";
import type { Comm, Message, Output } from "@laneway/kernel";
import type { Kernel } from "../kernel.js";
import { typeset } from "../mime.js";
import type { OutputArea, OutputContext } from "../outputs.js";
import { sheet } from "../shell.js";
import { loadSheet } from "../sheets.js";
import { WidgetComm, withViews } from "./comm.js";
import type { WidgetCallbacks } from "./comm.js";
import { OutputModel, OutputView } from "./output.js";
import ours from "./widgets.css";

type Class = typeof base.WidgetModel | typeof base.WidgetView;

/** The modules of widget classes. */
const MODULES: Record<string, () => Promise<Record<string, unknown>>> = {
  "@jupyter-widgets/base": () => Promise.resolve(base),
  "@jupyter-widgets/controls": () => Promise.resolve(controls),
  "@jupyter-widgets/output": () => Promise.resolve({ OutputModel, OutputView }),
  anywidget: async () => (await import("./anywidget.js")).classes,
};

let styled = false;

export class Widgets extends ManagerBase {
  /** Where the widgets look for what typesets the formulas in them (`DescriptionView.typeset`). */
  readonly _rendermime = { latexTypesetter: { typeset } };

  #kernel: Kernel;

  constructor(kernel: Kernel) {
    super();
    this.#kernel = kernel;
    if (styled) return;
    styled = true;
    // their variables are for the outputs, and not for the page
    const theirs = [lumino, sliders, ourSliders, controlsSheet, baseSheet].map((text) =>
      sheet(text.replace(/@import[^;]*;/g, "").replace(/:root/g, ".laneway-outputs")),
    );
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, ...theirs, sheet(ours)];
    void loadSheet(new URL(ICON_SHEET, import.meta.url));
  }

  // ---- for the kernel's cells

  /** The kernel has made a widget. */
  open(comm: Comm, message: Message): void {
    this.handle_comm_open(new WidgetComm(comm, this.#kernel), withViews(message) as never).catch(
      (error: unknown) => console.error("Laneway: a widget could not be made.", error),
    );
  }

  /** Show a widget in a place of the page. Rejects with a sentence where it cannot be shown. */
  async show(
    modelId: string,
    place: HTMLElement,
    { area, sandbox }: { area: OutputArea; sandbox: boolean },
  ): Promise<void> {
    if (!this.has_model(modelId)) await this.#restore(modelId);
    const model = await this.get_model(modelId);
    // a class that could not be loaded is replaced by one that says so less well
    const failure: unknown = model.get("error");
    if (failure instanceof Error) throw failure;
    if (sandbox && model.get("_model_module") === "anywidget") {
      throw new Error("This widget has scripts of its own, which do not run in this cell.");
    }
    const view = await this.create_view(model, { area });
    if (!place.isConnected) {
      view.remove();
      return;
    }
    const observer = new MutationObserver(() => nameSliders(place));
    observer.observe(place, { childList: true, subtree: true });
    const dispose = () => {
      observer.disconnect();
      view.luminoWidget.dispose();
    };
    place.addEventListener("laneway-gone", dispose, { once: true });
    place.replaceChildren();
    Widget.attach(view.luminoWidget, place);
  }

  /** An output that an Output widget wants. */
  async capture(commId: string, output: Output): Promise<void> {
    const model = await this.get_model(commId);
    if (model instanceof OutputModel) model.capture(output);
  }

  // ---- for the libraries

  override callbacks(view?: base.WidgetView): WidgetCallbacks {
    for (let at = view; at; at = (at.options as { parent?: base.WidgetView }).parent) {
      const { area } = at.options as { area?: OutputArea };
      if (area) return { area };
    }
    return {};
  }

  protected override async loadClass(name: string, module: string): Promise<Class> {
    const load = MODULES[module];
    if (!load) throw new Error(`Widgets of ${module} cannot be shown in this page; those of anywidget can.`);
    const found = (await load())[name];
    if (!found) throw new Error(`There is no widget ${name} in ${module}.`);
    return found as Class;
  }

  override async _make_model(...args: Parameters<ManagerBase["_make_model"]>): Promise<base.WidgetModel> {
    const model = await super._make_model(...args);
    if (model instanceof OutputModel) model.context = this.#outputContext();
    return model;
  }

  protected override _create_comm(
    target: string,
    modelId?: string,
    data?: Record<string, unknown>,
    metadata?: unknown,
    buffers?: (ArrayBuffer | ArrayBufferView)[],
  ): Promise<base.IClassicComm> {
    const options = { metadata: metadata as Record<string, unknown> | undefined, buffers, commId: modelId };
    const comm = this.#kernel.client.comms.open(target, data, options);
    return Promise.resolve(new WidgetComm(comm, this.#kernel));
  }

  protected override async _get_comm_info(): Promise<Record<string, unknown>> {
    return (await this.#kernel.client.commInfo(this.comm_target_name)).comms;
  }

  // ---- within

  /** A model that the kernel has, and this page has not heard of; it may be on its way. */
  async #restore(modelId: string): Promise<void> {
    await this.get_model(modelId).catch(() => {
      throw new Error("The kernel of this widget has ended; run the cell again.");
    });
  }

  #outputContext(): OutputContext {
    return {
      displays: this.#kernel.displays,
      sandbox: false,
      focus: () => undefined,
      widget: async (modelId, place) => {
        const area = undefined as unknown as OutputArea;
        await this.show(modelId, place, { area, sandbox: false });
      },
    };
  }
}

/** noUiSlider's handles have no names of their own; the widget's label is one. */
function nameSliders(place: HTMLElement): void {
  for (const handle of place.querySelectorAll<HTMLElement>('[role="slider"]:not([aria-label])')) {
    const label = handle.closest(".jupyter-widgets")?.querySelector(".widget-label")?.textContent?.trim();
    handle.ariaLabel = label ?? "Slider";
  }
}
