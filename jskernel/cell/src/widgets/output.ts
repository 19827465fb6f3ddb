/**
 * The Output widget: what a cell puts out while it is the context of the widget is shown there. Whose outputs these are,
 * the kernel says by `msg_id` (see `kernel.ts`); the list of them is part of the widget's state.
 */

import { DOMWidgetModel, DOMWidgetView } from "@jupyter-widgets/base";
import type { Output } from "@laneway/kernel";
import { OutputArea } from "../outputs.js";
import type { OutputContext } from "../outputs.js";
import { make } from "../shell.js";

/** An output as notebooks keep it (nbformat 4). */
type Kept = Record<string, unknown> & { output_type: string };

export class OutputModel extends DOMWidgetModel {
  /** What its views are made with; set by `Widgets`. */
  context: OutputContext | undefined;

  #clearing = false;
  #saving = false;
  #own = false;

  override defaults(): ReturnType<DOMWidgetModel["defaults"]> {
    return {
      ...super.defaults(),
      _model_name: "OutputModel",
      _view_name: "OutputView",
      _model_module: "@jupyter-widgets/output",
      _view_module: "@jupyter-widgets/output",
      _model_module_version: "1.0.0",
      _view_module_version: "1.0.0",
      msg_id: "",
      outputs: [],
    };
  }

  /** Is the list of outputs being set from here? */
  get own(): boolean {
    return this.#own;
  }

  /** The kernel has put out something for it. */
  capture(output: Output): void {
    let outputs = [...(this.get("outputs") as Kept[])];
    if (output.type === "clear_output") {
      if (output.content.wait) this.#clearing = true;
      else outputs = [];
    } else {
      if (this.#clearing) outputs = [];
      this.#clearing = false;
      const last = outputs.at(-1);
      if (output.type === "stream" && last?.output_type === "stream" && last.name === output.content.name) {
        outputs[outputs.length - 1] = { ...last, text: String(last.text) + output.content.text };
      } else {
        outputs.push({ output_type: output.type, ...output.content });
      }
    }
    this.#own = true;
    this.set("outputs", outputs);
    this.#own = false;
    this.trigger("laneway:output", output);
    if (this.#saving) return;
    this.#saving = true;
    // once for many of them
    setTimeout(() => {
      this.#saving = false;
      if (this.comm_live) this.save_changes();
    }, 50);
  }
}

export class OutputView extends DOMWidgetView {
  #area!: OutputArea;

  override render(): void {
    super.render();
    const model = this.model as OutputModel;
    const place = make("div", { className: "laneway-widget-output" });
    this.el.classList.add("jupyter-widgets", "widget-output");
    this.el.append(place);
    this.#area = new OutputArea(place, model.context!);
    const fill = () => {
      if (model.own) return;
      this.#area.clear();
      for (const kept of model.get("outputs") as Kept[]) this.#area.add(toOutput(kept));
    };
    fill();
    this.listenTo(model, "change:outputs", fill);
    this.listenTo(model, "laneway:output", (output: Output) => this.#area.add(output));
  }
}

function toOutput({ output_type: type, ...content }: Kept): Output {
  return { type, content, metadata: {}, buffers: [] } as unknown as Output;
}
