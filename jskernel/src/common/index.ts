export * from "./capabilities.js";
export * from "./envelope.js";
export * from "./errors.js";
export * from "./mailbox.js";
export * from "./message.js";
