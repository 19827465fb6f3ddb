export * from "./worker-transport.js";
