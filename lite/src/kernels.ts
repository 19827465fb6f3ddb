/** Registers the kernel "Python (Laneway)" with JupyterLite, and lets interrupts reach it. */

import type { JupyterFrontEnd } from "@jupyterlab/application";
import { PageConfig } from "@jupyterlab/coreutils";
import { IServiceWorkerManager } from "@jupyterlite/apputils";
import { IKernelClient, IKernelSpecs } from "@jupyterlite/services";
import type { IKernel } from "@jupyterlite/services";
import { sharesMemory } from "@laneway/kernel";
import logo from "../style/logo.svg";
import {
  activeServiceWorker,
  controlled,
  kernelFolder,
  startSpare,
  takeWorker,
} from "@laneway/kernel/browser";
import type { LiteClaim } from "./common/drive.js";
import { serveDrive } from "./drive-server.js";
import { LanewayKernel } from "./kernel.js";
import { readOptions } from "./options.js";
import { StartNotice } from "./start-notice.js";

const NAME = "laneway";
const DISPLAY_NAME = "Python (Laneway)";

const NO_FILES =
  "Files that cells write are lost with the kernel: this page has no service worker, and is not isolated.";

/** To be called when the application starts. */
export async function registerKernel(app: JupyterFrontEnd): Promise<void> {
  const [kernelSpecs, kernelClient, serviceWorker] = await Promise.all([
    app.resolveRequiredService(IKernelSpecs),
    app.resolveOptionalService(IKernelClient),
    app.resolveOptionalService(IServiceWorkerManager),
  ]);
  const logoUrl = `data:image/svg+xml;base64,${btoa(logo)}`;
  kernelSpecs.register({
    spec: {
      name: NAME,
      display_name: DISPLAY_NAME,
      language: "python",
      argv: [],
      metadata: { debugger: canHold() },
      resources: { "logo-svg": logoUrl, "logo-32x32": logoUrl, "logo-64x64": logoUrl },
    },
    create: (options) => startKernel(app, serviceWorker, options),
  });
  void startEarly(app, serviceWorker);
  if (kernelClient) passInterruptsOn(kernelClient);
  if (serviceWorker) void keepServiceWorker(serviceWorker);
}

/**
 * Whether code can be stopped and looked at, by memory that page and kernel share or by JSPI; else JupyterLab's debugger
 * stays off.
 */
function canHold(): boolean {
  return sharesMemory() || "Suspending" in WebAssembly;
}

/** Was a kernel asked for? */
let asked = false;

/** Start a kernel before one is asked for: it is ready when the reader is. Who asks is told if it fails. */
async function startEarly(app: JupyterFrontEnd, serviceWorker: IServiceWorkerManager | null): Promise<void> {
  try {
    void kernelFolder(readOptions().kernelURL)
      .manifest()
      .catch(() => undefined);
    const { early, start } = await readStart(serviceWorker);
    await app.restored;
    if (early && !asked) startSpare(start);
  } catch {
    // the options are wrong
  }
}

async function startKernel(
  app: JupyterFrontEnd,
  serviceWorker: IServiceWorkerManager | null,
  options: IKernel.IOptions,
): Promise<LanewayKernel> {
  asked = true;
  const notice = new StartNotice(DISPLAY_NAME);
  let read: Awaited<ReturnType<typeof readStart>>;
  try {
    read = await readStart(serviceWorker);
  } catch (error) {
    const sentence = (error as Error).message;
    console.error(`Laneway: ${sentence}`);
    notice.fail(sentence);
    throw error;
  }
  const { start, spare, files } = read;
  const drive = sharesMemory() ? serveDrive(app.serviceManager.contents) : undefined;
  const claim: LiteClaim = {};
  if (files) {
    // JupyterLab writes "drive:folder", and only "folder" for the default drive
    const [, name = "", directory = ""] = /^(?:([^:]*):)?(.*)$/.exec(options.location) ?? [];
    claim.drive = {
      baseUrl: PageConfig.getBaseUrl(),
      browsingContextId: serviceWorker?.browsingContextId ?? "",
      name,
      directory,
      ...(drive ? { shared: drive.shared } : {}),
    };
  }
  return new LanewayKernel(options, takeWorker(start, spare), claim, notice, drive);
}

/** How a kernel starts here, and whether it can have the files of JupyterLite. Rejects where the options are wrong. */
async function readStart(serviceWorker: IServiceWorkerManager | null) {
  const { spare, early, ...start } = readOptions();
  const served = await isServed(serviceWorker);
  const files = served || sharesMemory();
  if (!files) start.settings = { ...start.settings, missing: [NO_FILES] };
  return { start, spare, early, files };
}

/**
 * Whether JupyterLite's service worker serves the page, where that matters: not in a page that the server isolates. Waits
 * until it is settled: soon after the page has loaded JupyterLite removes it once and registers it anew, and a kernel that
 * started between would lack files, or the headers without which an isolated page refuses it.
 */
async function isServed(manager: IServiceWorkerManager | null): Promise<boolean> {
  // where the browser has none, `ready` never comes
  if (manager === null || !("serviceWorker" in navigator)) return false;
  if (sharesMemory() && !navigator.serviceWorker.controller) return false;
  try {
    await manager.ready;
    const active = await activeServiceWorker();
    if (!sharesMemory()) await controlled();
    return active !== undefined;
  } catch {
    return false;
  }
}

/**
 * JupyterLite removes its service worker at the first visit after that in which it was registered, unless it finds its
 * own version noted, and registers it anew: offline it could not, and the visit after that one would show nothing. The
 * browser itself replaces a service worker whose script has changed.
 */
async function keepServiceWorker(manager: IServiceWorkerManager): Promise<void> {
  if (!("serviceWorker" in navigator)) return;
  await manager.ready.catch(() => undefined);
  const active = await activeServiceWorker();
  if (active) localStorage.setItem(`${active.scriptURL}-version`, PageConfig.getOption("appVersion"));
}

function passInterruptsOn(client: IKernelClient): void {
  const original = client.interrupt.bind(client);
  client.interrupt = async (id) => {
    const kernel = (await client.getModel(id)) as unknown;
    if (kernel instanceof LanewayKernel) kernel.interrupt();
    else await original(id);
  };
}
