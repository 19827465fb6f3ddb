/**
 * `connectServer`: a client of a kernel behind a Jupyter server.
 *
 * The server's REST API (jupyter_server, "Kernels API") starts, restarts and ends the kernel; one WebSocket carries the
 * messages.
 */

import {
  Client,
  ClosedError,
  decodeWebSocket,
  encodeWebSocket,
  KernelDiedError,
  KernelError,
  WEBSOCKET_SUBPROTOCOL,
} from "../common/index.js";
import type { ClientTransport, Message, TransportEvents } from "../common/index.js";

/** Milliseconds that the server may take for one of our requests; a gateway may have to find a machine first. */
const REST_TIMEOUT = 60_000;

export interface ServerOptions {
  /**
   * The server's address: Jupyter Server, Kernel Gateway, Enterprise Gateway; with JupyterHub, the user's server. One of
   * another origin must allow the page's (`ServerApp.allow_origin`).
   */
  url: string;
  /** Authenticates, as the server documents it. */
  token?: string;
  /**
   * The id of a kernel that runs there, or the name of a kernelspec, by default `laneway`: then a kernel is started with
   * the client and ends when it is closed.
   */
  kernel?: string;
}

/** A client of a kernel behind a Jupyter server. */
export function connectServer(options: ServerOptions): Client {
  return new Client(new WebSocketTransport(options));
}

/** A kernel on a server; what was started there by this ends with it. */
export class WebSocketTransport implements ClientTransport {
  readonly overtakes = true;
  /** How many messages of the server were malformed. */
  dropped = 0;

  #url: string;
  #token: string;
  #kernel: string;
  #id: string | undefined;
  #ours = false;
  #attempt = 0;
  #events: TransportEvents | undefined;
  #socket: WebSocket | undefined;

  constructor({ url, token = "", kernel = "laneway" }: ServerOptions) {
    this.#url = new URL(url, document.baseURI).href.replace(/\/$/, "");
    this.#token = token;
    this.#kernel = kernel;
  }

  /** See `ClientTransport`: connects again to the same kernel, as long as it is there. */
  async start(events: TransportEvents): Promise<void> {
    const attempt = ++this.#attempt;
    this.#events = events;
    events.progress({ phase: "kernel", text: "Asking the server" });
    const running = await this.#ask<{ id: string }[]>("GET", "kernels");
    this.#checkAttempt(attempt);
    const wanted = this.#id ?? this.#kernel;
    if (running.some(({ id }) => id === wanted)) {
      this.#id = wanted;
    } else {
      events.progress({ phase: "kernel", text: "Starting the kernel" });
      await this.#checkName();
      this.#checkAttempt(attempt);
      const { id } = await this.#ask<{ id: string }>("POST", "kernels", { name: this.#kernel });
      if (attempt !== this.#attempt) await this.#delete(id); // nobody waits for it, or another was started meanwhile
      this.#checkAttempt(attempt);
      this.#id = id;
      this.#ours = true;
    }
    await this.#open();
  }

  send(message: Message): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) {
      throw new ClosedError("The connection to the server is closed.");
    }
    this.#socket.send(encodeWebSocket(message));
  }

  /** See `ClientTransport`. A new connection, so that nothing of the old kernel comes after. */
  async restart(): Promise<void> {
    this.#closeSocket();
    if (this.#events && this.#id === undefined) return await this.start(this.#events);
    const attempt = ++this.#attempt;
    this.#events?.progress({ phase: "kernel", text: "Restarting the kernel" });
    await this.#ask("POST", `kernels/${this.#id}/restart`, {});
    this.#checkAttempt(attempt);
    await this.#open();
  }

  async close(): Promise<void> {
    this.#attempt++;
    this.#closeSocket();
    if (!this.#ours) return;
    const id = this.#id;
    this.#id = undefined;
    this.#ours = false;
    if (id !== undefined) await this.#delete(id);
  }

  async #delete(id: string): Promise<void> {
    // it is gone already, or the server is
    await this.#ask("DELETE", `kernels/${id}`).catch(() => undefined);
  }

  /** Throws where it was closed, or has begun anew, since. */
  #checkAttempt(attempt: number): void {
    if (attempt !== this.#attempt) throw new ClosedError("The connection to the server was closed.");
  }

  async #checkName(): Promise<void> {
    const { kernelspecs } = await this.#ask<{ kernelspecs: Record<string, unknown> }>("GET", "kernelspecs");
    if (Object.hasOwn(kernelspecs, this.#kernel)) return;
    const names = Object.keys(kernelspecs).sort().join(", ") || "none";
    throw new KernelError(
      `The server has no kernel ${this.#kernel}, neither running nor to be started; it can start ${names}.`,
    );
  }

  #open(): Promise<void> {
    this.#closeSocket();
    const address = new URL(`${this.#url}/api/kernels/${encodeURIComponent(this.#id ?? "")}/channels`);
    address.protocol = address.protocol.replace("http", "ws");
    address.searchParams.set("session_id", crypto.getRandomValues(new Uint32Array(4)).join("-"));
    // a page cannot give a WebSocket headers
    if (this.#token) address.searchParams.set("token", this.#token);
    const socket = new WebSocket(address, [WEBSOCKET_SUBPROTOCOL]);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      if (socket === this.#socket) this.#receive(data);
    };
    return new Promise((resolve, reject) => {
      let opened = false;
      socket.onopen = () => {
        opened = socket.protocol === WEBSOCKET_SUBPROTOCOL;
        if (opened) resolve();
        else socket.close(); // the server is too old
      };
      socket.onclose = ({ code, reason }) => {
        const why = reason || (code === 1006 ? "it broke off" : code);
        if (!opened) {
          reject(
            new KernelError(
              `The server at ${this.#url} does not let us talk to the kernel in ${WEBSOCKET_SUBPROTOCOL} (${why}).`,
            ),
          );
        } else if (socket === this.#socket) {
          this.#socket = undefined;
          this.#events?.lost(new KernelDiedError(`The connection to the server has ended (${why}).`));
        }
      };
    });
  }

  #receive(data: unknown): void {
    let message: Message;
    try {
      message = decodeWebSocket(data as ArrayBuffer);
    } catch (error) {
      this.dropped++;
      console.error("Laneway: a message of the server is dropped.", error);
      return;
    }
    this.#events?.message(message);
  }

  #closeSocket(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
  }

  async #ask<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
    const address = `${this.#url}/api/${path}`;
    const headers = {
      "Content-Type": "application/json",
      ...(this.#token ? { Authorization: `token ${this.#token}` } : {}),
    };
    let answer: Response;
    try {
      answer = await fetch(address, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(REST_TIMEOUT),
      });
    } catch (error) {
      throw new KernelError(
        `No Jupyter server answers this page at ${this.#url}; check the address, the token and the server's allow_origin (${String(error)}).`,
      );
    }
    const text = await answer.text();
    if (!answer.ok) {
      const reason = `${answer.status} ${reasonOf(text) ?? answer.statusText}`;
      throw new KernelError(`The server refuses ${method} ${address}: ${reason}`);
    }
    try {
      return (text ? JSON.parse(text) : undefined) as Answer;
    } catch {
      throw new KernelError(`What answers at ${this.#url} is no Jupyter server.`);
    }
  }
}

function reasonOf(text: string): string | undefined {
  try {
    return (JSON.parse(text) as { message?: string }).message;
  } catch {
    return undefined;
  }
}
