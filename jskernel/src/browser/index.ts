export * from "./connect.js";
export * from "./create-worker.js";
export * from "./websocket-transport.js";
export * from "./worker-transport.js";
