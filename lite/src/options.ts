/**
 * The kernel's options: `litePluginSettings["@laneway/lite:kernel"]` in `jupyter-lite.json`. URLs are absolute, or
 * relative to the site's base URL.
 */

import { PageConfig } from "@jupyterlab/coreutils";
import { folderAddress } from "@laneway/kernel/browser";
import type { LaunchOptions } from "@laneway/kernel/browser";

export const PLUGIN_ID = "@laneway/lite:kernel";

const SETTINGS = "litePluginSettings";

/** What may stand in the site's configuration. All of it is optional. */
interface SiteOptions {
  /** Another kernel folder; by default the one that `laneway-lite` put into the site. */
  kernelURL?: string;
  /** Names, or URLs of wheels, of packages to load before a kernel starts. */
  packages?: string[];
  /** Where `%pip install` looks, after the site's own index. `{package_name}` stands for the name. */
  pipIndexURLs?: string[];
  /**
   * Whether a kernel is kept ready for the next notebook: it takes memory until then. By default one is started with the
   * page, for the first.
   */
  spare?: boolean;
  /** For the kernel. */
  settings?: Record<string, unknown>;
}

const CHECKS: Record<keyof SiteOptions, [(value: unknown) => boolean, string]> = {
  kernelURL: [isText, "text, the address of a folder"],
  packages: [isTexts, "a list of names"],
  pipIndexURLs: [isTexts, "a list of addresses"],
  spare: [(value) => typeof value === "boolean", "true or false"],
  settings: [isObject, "an object"],
};

/** Is this page JupyterLite's, in a site that the addon has built? */
export function isLite(): boolean {
  return PageConfig.getOption(SETTINGS) !== "";
}

/**
 * Read the options of the site; `early` says whether a kernel is started with the page. Throws an error whose sentence
 * says what to change.
 */
export function readOptions(): LaunchOptions & { spare: boolean; early: boolean } {
  const site = siteOptions();
  const baseUrl = new URL(PageConfig.getBaseUrl(), document.baseURI).href;
  // braces are put back: they mark the place of a package's name
  const absolute = (url: string) => new URL(url, baseUrl).href.replaceAll("%7B", "{").replaceAll("%7D", "}");
  return {
    kernelURL: folderAddress(absolute(site.kernelURL ?? "static/laneway/")),
    packages: site.packages ?? [],
    spare: site.spare ?? false,
    early: site.spare ?? true,
    settings: { ...site.settings, pipIndexURLs: (site.pipIndexURLs ?? []).map(absolute) },
  };
}

function siteOptions(): SiteOptions {
  const all = JSON.parse(PageConfig.getOption(SETTINGS) || "{}") as Record<string, unknown>;
  const options = all[PLUGIN_ID] ?? {};
  const where = `${SETTINGS}["${PLUGIN_ID}"] in jupyter-lite.json`;
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
