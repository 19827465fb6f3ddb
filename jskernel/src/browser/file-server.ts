/** The page's use of the mailbox for files: it fetches them for a worker whose code imports them, and so cannot await. */

import type { FileNote } from "../common/index.js";
import type { Outbox } from "./mailbox.js";

export class FileServer {
  #outbox: Outbox;
  #current: AbortController | undefined;

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  /** Fetch the file at `url` and send it in parts, in place of the one that is being fetched. Never rejects. */
  async fetch(id: number, url?: string): Promise<void> {
    this.#current?.abort();
    if (url === undefined) return;
    const { signal } = (this.#current = new AbortController());
    const note: FileNote = { id, status: 0, total: 0, ended: false };
    try {
      const { status, headers, body } = await fetch(url, { signal });
      note.status = status;
      // of what is packed, the length is another one
      if (!headers.has("Content-Encoding")) note.total = Number(headers.get("Content-Length"));
      this.#outbox.note(note);
      const reader = body?.getReader();
      for (let part = await reader?.read(); part?.value; part = await reader?.read()) {
        if (signal.aborted) return;
        this.#outbox.part(part.value);
      }
    } catch {
      note.status = 0; // the server has not answered, or not to the end
    }
    if (!signal.aborted) this.#outbox.note({ ...note, ended: true });
  }

  /** The worker is gone. */
  close(): void {
    this.#current?.abort();
  }
}
