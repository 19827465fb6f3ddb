/**
 * Python where it can be had: behind a Jupyter server, else in the page. Whoever runs code need not know.
 *
 * `reset` is for when the server may be there again: the next cell asks for it first.
 */

import { connectServer, launch } from "@laneway/kernel/browser";

/** @param {{ url: string, token: string }} server */
export function connect(server) {
  const places = [() => connectServer(server), () => launch({ kernelURL: "kernel/" })];
  /** @type {Promise<import("@laneway/kernel").Client> | undefined} */
  let kc;
  const first = async ([place, ...others] = places) => {
    const client = place();
    client.on("state", (state) => state === "dead" && (kc = undefined));
    return client.start({ timeoutMs: 30_000 }).catch(() => (others.length ? first(others) : client));
  };
  return {
    execute: async (code, options) => (await (kc ??= first())).execute(code, options),
    reset: () => (kc = undefined),
  };
}
