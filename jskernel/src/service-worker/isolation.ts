/** Adds the headers of cross-origin isolation (COOP and COEP) to documents and workers. Headers of the server stay. */

const EMBEDDING: RequestDestination[] = [
  "document",
  "iframe",
  "frame",
  "embed",
  "object",
  "worker",
  "sharedworker",
];

const HEADERS = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": knowsCredentialless(navigator.userAgent)
    ? "credentialless"
    : "require-corp",
};

/** Whether what is loaded may embed other things, and so must have the headers. */
export function embeds(request: Request): boolean {
  return EMBEDDING.includes(request.destination);
}

export function isolated(response: Response): Response {
  // an error, or a redirect that the browser follows; or nothing that could embed anything, and must have no body
  if (response.status === 0 || [101, 204, 205, 304].includes(response.status)) return response;
  const { body, status, statusText } = response;
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(HEADERS)) if (!headers.has(name)) headers.set(name, value);
  return new Response(body, { status, statusText, headers });
}

/**
 * `credentialless` lets images and scripts of other hosts in, which come without cookies then. A browser that does not
 * know it isolates nothing, and no API says which ones do, before a page is loaded: so it is for those alone of which
 * it is known. (WebKit, which all browsers on iOS are, does not know it.)
 */
export function knowsCredentialless(userAgent: string): boolean {
  const [, browser, version] = / (Chrome|Firefox)\/(\d+)/.exec(userAgent) ?? [];
  return Number(version) >= (browser === "Chrome" ? 96 : 119);
}
