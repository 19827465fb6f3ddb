export * from "./create-worker.js";
export * from "./worker-transport.js";
