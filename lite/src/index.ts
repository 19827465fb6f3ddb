/** The JupyterLite extension: registers the kernel "Python (Laneway)", and lets interrupts reach it. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { PageConfig } from "@jupyterlab/coreutils";
import { IServiceWorkerManager } from "@jupyterlite/apputils";
import { IKernelClient, IKernelSpecs } from "@jupyterlite/services";
import type { IKernel } from "@jupyterlite/services";
import logo from "../style/logo.svg";
import type { LiteStartOptions } from "./common/drive.js";
import { serveDrive } from "./drive-server.js";
import { ENDPOINT } from "./common/mail.js";
import { LanewayKernel } from "./kernel.js";
import { answerMail, MailServer } from "./mail-server.js";
import { PLUGIN_ID, readOptions } from "./options.js";
import { StartNotice } from "./start-notice.js";

const NAME = "laneway";
const DISPLAY_NAME = "Python (Laneway)";

// not written in one expression with `new Worker`: bundlers would take the built worker for source, and build it anew
const WORKER_URL = new URL("./laneway.worker.js", import.meta.url);

const plugin: JupyterFrontEndPlugin<void> = {
  id: PLUGIN_ID,
  description: "The kernel Python (Laneway)",
  autoStart: true,
  requires: [IKernelSpecs],
  optional: [IKernelClient, IServiceWorkerManager],
  activate: (
    app: JupyterFrontEnd,
    kernelSpecs: IKernelSpecs,
    kernelClient: IKernelClient | null,
    serviceWorker: IServiceWorkerManager | null,
  ) => {
    const logoUrl = `data:image/svg+xml;base64,${btoa(logo)}`;
    kernelSpecs.register({
      spec: {
        name: NAME,
        display_name: DISPLAY_NAME,
        language: "python",
        argv: [],
        resources: { "logo-svg": logoUrl, "logo-32x32": logoUrl, "logo-64x64": logoUrl },
      },
      create: (options) => startKernel(app, serviceWorker, options),
    });
    if (kernelClient) passInterruptsOn(kernelClient);
    serviceWorker?.registerStdinHandler(ENDPOINT, answerMail);
  },
};

async function startKernel(
  app: JupyterFrontEnd,
  serviceWorker: IServiceWorkerManager | null,
  options: IKernel.IOptions,
): Promise<LanewayKernel> {
  const notice = new StartNotice(DISPLAY_NAME);
  let start: LiteStartOptions;
  try {
    start = readOptions();
  } catch (error) {
    const sentence = (error as Error).message;
    console.error(`Laneway: ${sentence}`);
    notice.fail(sentence);
    throw error;
  }
  const served = await isServed(serviceWorker);
  const worker = new Worker(WORKER_URL, { type: "module" });
  const reach = {
    baseUrl: PageConfig.getBaseUrl(),
    browsingContextId: serviceWorker?.browsingContextId ?? "",
  };
  if (crossOriginIsolated || served) {
    // JupyterLab writes "drive:folder", and only "folder" for the default drive
    const [, name = "", directory = ""] = /^(?:([^:]*):)?(.*)$/.exec(options.location) ?? [];
    start.drive = {
      ...reach,
      name,
      directory,
      ...(crossOriginIsolated ? { shared: serveDrive(worker, app.serviceManager.contents) } : {}),
    };
  } else {
    console.warn(
      "Laneway: the kernel has no files of JupyterLite here; the page is not cross-origin isolated and has no service worker.",
    );
  }
  let mail: MailServer | undefined;
  if (served && !crossOriginIsolated) {
    mail = new MailServer();
    start.mail = { ...reach, kernel: mail.name };
  }
  return new LanewayKernel(options, worker, start, notice, mail);
}

/**
 * Whether JupyterLite's service worker serves the page. Waits until that is settled: soon after the page has loaded
 * JupyterLite removes it once and registers it anew, and a kernel that started between would lack files, or the
 * headers without which an isolated page refuses it.
 */
async function isServed(manager: IServiceWorkerManager | null): Promise<boolean> {
  // where the browser has none, `ready` never comes
  if (manager === null || !("serviceWorker" in navigator)) return false;
  try {
    await manager.ready;
    await navigator.serviceWorker.ready;
    return true;
  } catch {
    return false;
  }
}

function passInterruptsOn(client: IKernelClient): void {
  const original = client.interrupt.bind(client);
  client.interrupt = async (id) => {
    const kernel = (await client.getModel(id)) as unknown;
    if (kernel instanceof LanewayKernel) kernel.interrupt();
    else await original(id);
  };
}

export default plugin;
