export * from "./connect.js";
export * from "./folder.js";
export { activeServiceWorker, controlled } from "./service-worker.js";
export * from "./spare.js";
export * from "./websocket-transport.js";
export * from "./worker-transport.js";
