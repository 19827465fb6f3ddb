/** The extension of JupyterLab and JupyterLite: a panel at the right with the jobs of the current kernel. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ILayoutRestorer } from "@jupyterlab/application";
import type { ISessionContext } from "@jupyterlab/apputils";
import { ICommandPalette } from "@jupyterlab/apputils";
import { PageConfig } from "@jupyterlab/coreutils";
import type { Widget } from "@lumino/widgets";
import { REQUESTS } from "./jobs.js";
import { JobsPanel } from "./panel.js";

const COMMAND = "laneway:show-jobs";

const plugin: JupyterFrontEndPlugin<void> = {
  id: "@laneway/jobs:panel",
  description: "Lists what a Laneway kernel runs, and cancels one of it",
  autoStart: true,
  optional: [ICommandPalette, ILayoutRestorer],
  activate: (app: JupyterFrontEnd, palette: ICommandPalette | null, restorer: ILayoutRestorer | null) => {
    trackNoRequests();
    const panel = new JobsPanel();
    app.shell.add(panel, "right", { rank: 900 });
    restorer?.add(panel, panel.id);
    app.commands.addCommand(COMMAND, {
      label: "Show the Jobs of the Kernel",
      caption: "What runs and what is queued, with a button that cancels it",
      execute: () => app.shell.activateById(panel.id),
    });
    palette?.addItem({ command: COMMAND, category: "Kernel Operations" });

    /** Follow the kernel of the current document; where that has none, still that of the last one. */
    const turn = () => {
      const current = app.shell.currentWidget;
      const context = sessionOf(current);
      if (!current || !context) return;
      panel.follow(context);
      current.disposed.connect(() => {
        if (panel.followed === context) panel.follow(null);
      });
    };
    app.shell.currentChanged?.connect(turn);
    void app.restored.then(turn);
  },
};

/** Notebooks and consoles name the session of their kernel so; to ask their trackers would take their packages. */
function sessionOf(widget: Widget | null): ISessionContext | null {
  return (widget as { sessionContext?: ISessionContext } | null)?.sessionContext ?? null;
}

/** A kernel that is asked for its jobs does not look busy, nor idle afterwards, whatever it runs. */
function trackNoRequests(): void {
  const option = "untracked_message_types";
  const untracked = JSON.parse(PageConfig.getOption(option) || "[]") as string[];
  PageConfig.setOption(option, JSON.stringify([...untracked, ...REQUESTS]));
}

export default plugin;
