/** What a webpack.config.js says, run here without webpack-cli. The module in the page is one because of top-level await. */

import webpack from "webpack";

const config = {
  mode: "production",
  entry: "./src/main.js",
  output: { path: new URL("dist/webpack", import.meta.url).pathname, filename: "main.js", module: true },
  experiments: { outputModule: true },
};

webpack(config, (error, stats) => {
  if (!error && !stats.hasErrors()) return;
  console.error(error ?? stats.toString("errors-only"));
  process.exitCode = 1;
});
