/** Passes the requests of kernels on to the pages, and the answer of the right one back; see `common/mail.ts`. */

import { MAIL } from "../common/mail.js";
import type { MailAnswer, MailNote, MailRequest } from "../common/mail.js";

/** Milliseconds that a page has for an answer that it gives at once; it may be busy. */
const GRACE = 1000;

const channel = new BroadcastChannel(MAIL);

export function isMailRequest({ url }: Request): boolean {
  return new URL(url).pathname.endsWith(`/${MAIL}`);
}

export async function answerMail(request: Request): Promise<Response> {
  if (request.method === "GET") return new Response(MAIL);
  return new Response(JSON.stringify(await ask((await request.json()) as MailRequest)));
}

function ask(request: MailRequest): Promise<MailAnswer> {
  const id = crypto.randomUUID();
  return new Promise((resolve) => {
    const settle = (answer: MailAnswer) => {
      clearTimeout(timer);
      channel.removeEventListener("message", receive);
      resolve(answer);
    };
    const receive = ({ data }: MessageEvent<MailNote>) => {
      if (data.id === id && "answer" in data) settle(data.answer);
    };
    // the page still has what it said too late
    const nothing = { first: request.taken, messages: [] };
    const timer = setTimeout(() => settle(nothing), request.timeout || GRACE);
    channel.addEventListener("message", receive);
    channel.postMessage({ id, request } satisfies MailNote);
  });
}
