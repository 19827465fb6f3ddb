/**
 * Builds JupyterLab's debugger as a prebuilt extension, into laneway_lite/debugger, which `jupyter lite build` puts into
 * a site: JupyterLite's apps have none. Its code is as published, under its own name, by which JupyterLite finds its settings.
 *
 * All that it imports is JupyterLite's, but for @jupyterlab/debugger; so are the styles of the rest. This is why the
 * top's package.json has its larger dependencies replaced ("overrides") by a small one, of which nothing is used.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const NAME = "@jupyterlab/debugger-extension";
const WORK = "dist/debugger";
const OUT = "laneway_lite/debugger";
const FIELDS = ["name", "version", "description", "homepage", "license", "author", "main", "dependencies"];

const { resolve } = createRequire(import.meta.url);
const published = dirname(resolve(`${NAME}/package.json`));
const description = JSON.parse(readFileSync(join(published, "package.json"), "utf8"));
const built = {
  ...Object.fromEntries(FIELDS.map((field) => [field, description[field]])),
  style: "style.js",
  jupyterlab: {
    ...description.jupyterlab,
    outputDir: `../../${OUT}`,
    sharedPackages: { [NAME]: false, "@jupyterlab/debugger": { bundled: true } },
  },
};

rmSync(WORK, { recursive: true, force: true });
mkdirSync(WORK, { recursive: true });
for (const folder of ["lib", "schema"])
  cpSync(join(published, folder), join(WORK, folder), { recursive: true });
writeFileSync(join(WORK, "style.js"), 'import "@jupyterlab/debugger/style/base.css";\n');
writeFileSync(join(WORK, "package.json"), JSON.stringify(built, null, 2));
const core = resolve("@jupyterlab/core-meta/core.package.json");
const builder = resolve("@jupyter/builder/lib/build-labextension.js");
execFileSync(process.execPath, [builder, "--core-package-file", core, "."], { cwd: WORK, stdio: "inherit" });
rmSync(join(OUT, "schemas", NAME, "package.json.orig"));
