/**
 * The kernel's options: `litePluginSettings["@laneway/lite:kernel"]` in `jupyter-lite.json`. URLs are absolute, or
 * relative to the site's base URL.
 */

import { PageConfig } from "@jupyterlab/coreutils";
import type { StartOptions } from "@laneway/kernel";

export const PLUGIN_ID = "@laneway/lite:kernel";

/** What may stand in the site's configuration. All of it is optional. */
interface SiteOptions {
  /** The folder of another Pyodide, 0.27 or later; by default the one that `laneway-lite` put into the site. */
  indexURL?: string;
  /** Its lock, if it is not `pyodide-lock.json` in `indexURL`. */
  lockFileURL?: string;
  /** Names, or URLs of wheels, of packages to load besides the kernel's own. */
  packages?: string[];
  /** Where `%pip install` looks first. `{package_name}` stands for the name. */
  pipIndexURLs?: string[];
  /** For the kernel. */
  settings?: Record<string, unknown>;
}

const CHECKS: Record<keyof SiteOptions, [(value: unknown) => boolean, string]> = {
  indexURL: [isText, "text, the address of a folder"],
  lockFileURL: [isText, "text, the address of a file"],
  packages: [isTexts, "a list of names"],
  pipIndexURLs: [isTexts, "a list of addresses"],
  settings: [isObject, "an object"],
};

/** Read the options of the site. Throws an error whose sentence says what to change. */
export function readOptions(): StartOptions {
  const site = siteOptions();
  const baseUrl = new URL(PageConfig.getBaseUrl(), document.baseURI).href;
  // braces are put back: they mark the place of a package's name
  const absolute = (url: string) => new URL(url, baseUrl).href.replaceAll("%7B", "{").replaceAll("%7D", "}");
  return {
    indexURL: absolute(site.indexURL ?? "static/laneway/pyodide/"),
    ...(site.lockFileURL === undefined ? {} : { lockFileURL: absolute(site.lockFileURL) }),
    packages: [...new Set(["laneway", ...(site.packages ?? [])])],
    settings: { ...site.settings, pipIndexURLs: (site.pipIndexURLs ?? []).map(absolute) },
  };
}

function siteOptions(): SiteOptions {
  const all = JSON.parse(PageConfig.getOption("litePluginSettings") || "{}") as Record<string, unknown>;
  const options = all[PLUGIN_ID] ?? {};
  const where = `litePluginSettings["${PLUGIN_ID}"] in jupyter-lite.json`;
  if (!isObject(options)) throw new Error(`${where} must be an object.`);
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(CHECKS, name)) {
      throw new Error(`${where} has no option "${name}"; there are ${Object.keys(CHECKS).join(", ")}.`);
    }
    const [check, expected] = CHECKS[name as keyof SiteOptions];
    if (!check(value)) throw new Error(`"${name}" of ${where} must be ${expected}.`);
  }
  return options;
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isText);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
