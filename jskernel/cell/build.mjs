/**
 * Bundles the element for pages: `dist/laneway-cells.js`, and beside it what it loads when that is wanted. The names of
 * all but the first have a hash of their content in them.
 */

import { build } from "esbuild";
import { readFile, readdir, rm, writeFile } from "node:fs/promises";
import { basename } from "node:path";

const OUT = "dist";

/** Browsers that are new enough for the element are so for the newest kind of font. */
const newFontsOnly = {
  name: "new fonts only",
  setup({ onLoad }) {
    onLoad({ filter: /(katex|fontawesome|all|solid)\.min\.css$/ }, async ({ path }) => {
      const text = await readFile(path, "utf-8");
      const contents = text.replace(/src:\s*url\([^)]*\.eot\)\s*;/g, "").replace(/src:[^;}]*/g, (sources) => {
        const [woff2] = /url\([^)]*\.woff2\)\s*format\("woff2"\)/.exec(sources) ?? [];
        return woff2 ? `src:${woff2}` : sources;
      });
      return { contents, loader: "css" };
    });
  },
};

/** anywidget is published as an AMD module: what it calls `define` with becomes its export. */
const amd = {
  name: "amd",
  setup({ onLoad }) {
    onLoad({ filter: /anywidget[\\/]dist[\\/]index\.js$/ }, async ({ path }) => ({
      contents: `let made; const define = (_, factory) => (made = factory);\n${await readFile(path, "utf-8")}\nexport default made;`,
    }));
  },
};

/** Bundle a style sheet and its fonts; returns the name of its file. */
async function buildSheet(name, path) {
  const result = await build({
    entryPoints: { [name]: path },
    bundle: true,
    minify: true,
    outdir: OUT,
    entryNames: "[name]-[hash]",
    assetNames: "[name]-[hash]",
    loader: { ".woff2": "file" },
    plugins: [newFontsOnly],
    metafile: true,
    logLevel: "warning",
  });
  return basename(Object.keys(result.metafile.outputs).find((output) => output.endsWith(".css")));
}

/** Whoever copies the folder has the licenses of all that is in it. */
async function writeLicenses(inputs) {
  // esbuild marks what a browser does not need
  const there = inputs.filter((path) => !path.startsWith("(disabled)"));
  const folders = there.map((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(path)?.[0]);
  const sheets = ["katex", "@fortawesome/fontawesome-free"].map((name) => `../../node_modules/${name}`);
  const texts = [];
  for (const folder of [...new Set([...folders, ...sheets])].filter(Boolean).sort()) {
    const { name, version, license } = JSON.parse(await readFile(`${folder}/package.json`, "utf-8"));
    const file = (await readdir(folder)).find((file) => /^licen[cs]e/i.test(file));
    const text = file ? await readFile(`${folder}/${file}`, "utf-8") : "";
    texts.push(`${name} ${version} (${license})\n\n${text.trim()}\n`);
  }
  await writeFile(`${OUT}/licenses.txt`, texts.join(`\n${"-".repeat(80)}\n\n`));
}

await rm(OUT, { recursive: true, force: true });
const [katex, icons] = await Promise.all([
  buildSheet("katex", "katex/dist/katex.min.css"),
  buildSheet("icons", "src/widgets/icons.css"),
]);
const { metafile } = await build({
  entryPoints: { "laneway-cells": "src/index.ts" },
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  minify: true,
  outdir: OUT,
  chunkNames: "[name]-[hash]",
  loader: { ".css": "text" },
  plugins: [amd],
  alias: { "sanitize-html": "./src/widgets/sanitize.ts" },
  define: {
    KATEX_SHEET: JSON.stringify(`./${katex}`),
    ICON_SHEET: JSON.stringify(`./${icons}`),
    "process.env.NODE_ENV": '"production"',
  },
  metafile: true,
  legalComments: "none", // licenses.txt has them all
  logLevel: "warning",
});
await writeLicenses(Object.keys(metafile.inputs));
if (process.argv.includes("--sizes")) {
  for (const [name, { bytes }] of Object.entries(metafile.outputs)) console.log(bytes, name);
}
// for pages that show built outputs without JavaScript
await build({
  entryPoints: { "laneway-cells": "src/outputs.css" },
  minify: true,
  outdir: OUT,
  logLevel: "warning",
});
