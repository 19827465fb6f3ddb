export default {
  // the page may lie anywhere
  base: "./",
  build: { outDir: "dist/vite", target: "es2022" },
};
