/**
 * The extension of JupyterLite, with the kernel "Python (Laneway)". JupyterLab on the desktop loads it, too, where
 * laneway-lite is installed: there is nothing of JupyterLite's to import there, and nothing to do.
 */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { isLite, PLUGIN_ID } from "./options.js";

const kernels = isLite() ? import("./kernels.js") : undefined;
kernels?.catch(() => undefined); // who activates the plugin is told

const plugin: JupyterFrontEndPlugin<void> = {
  id: PLUGIN_ID,
  description: "The kernel Python (Laneway)",
  autoStart: true,
  activate: async (app: JupyterFrontEnd) => (await kernels)?.registerKernel(app),
};

export default plugin;
