/** Added to what jupyter-builder configures: the worker is built already, and is to lie in the site as a file. */
module.exports = {
  module: { rules: [{ test: /\.worker\.js$/, type: "asset/resource" }] },
};
