/** Where the kernels of a page are. */

import type { Client } from "@laneway/kernel";

/** The folder of the script that the page has loaded; a kernel folder lies there too, unless the page names another. */
const SCRIPTS = new URL(".", import.meta.url).href;

const makers = new Map<string, () => Client>();

/**
 * Let the cells of the group `kernel` (by default those that name none) use the client that `make` returns, which is
 * called once, when one of them wakes: a kernel behind a Jupyter server, for example, or one that the page shares.
 */
export function useClient(make: () => Client, kernel = ""): void {
  makers.set(kernel, make);
}

/** What `useClient` was told of the group. */
export function makerOf(kernel: string): (() => Client) | undefined {
  return makers.get(kernel);
}

/**
 * The address of the kernel folder of a cell: its attribute `kernel-url`, else what
 * `<meta name="laneway-kernel" content="ADDRESS">` says, else the folder of the script.
 */
export function kernelURL(cell: Element): string {
  const said =
    cell.getAttribute("kernel-url") ??
    document.querySelector<HTMLMetaElement>("meta[name='laneway-kernel']")?.content;
  return said === undefined ? SCRIPTS : new URL(said, document.baseURI).href;
}
