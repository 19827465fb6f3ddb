/**
 * Keeps what was loaded, so that a site that was visited once works without its server.
 *
 * What can never change is taken from the cache first: an address with a content hash, or a request that says the hash
 * itself (`integrity`, as Pyodide's for wheels). Everything else of this origin comes from the server, which is asked
 * whether it has changed; from the cache if the server does not answer in time, or with an error of its own (5xx). Of
 * other origins only wheels are kept. What the server does not want to be stored (`no-store`) is not; nor are live
 * APIs, nor parts of files, nor what has not come to its end.
 *
 * A kernel folder changes as a whole. Its manifest is replaced in the cache when all that was used of the old version
 * is there in the new one; then what the new one does not name is removed.
 */

const IMMUTABLE = /[.-][0-9a-f]{16}(?=[./]|$)/;
const MANIFEST = "laneway.json";

/** Milliseconds that the server has to answer, where the cache has an answer, too. */
const PATIENCE = 5000;

/** After a server did not answer in time, it is not waited for so many milliseconds. */
const SILENCE = 30_000;

/** The server is asked, whatever it said of how long its files are fresh: none of an older version is taken. */
const ANEW: RequestInit = { cache: "no-cache" };

/** Milliseconds without a request after which what was loaded is kept: copies made at once would hold up a kernel's start. */
const LULL = 2000;

let silentUntil = 0;
/** What was loaded and is to be kept, and the wait for a lull. */
const loaded = new Set<string>();
let lull: { kept: Promise<void>; timer: number; end: () => void } | undefined;
let hasWarned = false;
let opened: Promise<Cache> | undefined;
/** The folders that are being replaced, by manifest: one version after the other. */
const renewing = new Map<string, Promise<void>>();

/** The answer to a request; undefined if it is none for the cache. */
export function answerFromCache(event: FetchEvent): Promise<Response> | undefined {
  const { request } = event;
  const key = keyOf(request);
  if (key === undefined) return undefined;
  return isImmutable(key) ? fromCacheFirst(event, key) : fromServerFirst(event, key);
}

/** Keep what the page and its workers loaded before this service worker answered them. */
export async function keep(urls: string[]): Promise<void> {
  for (const url of urls) {
    const key = keyOf(new Request(url));
    if (key !== undefined && new URL(key).origin === location.origin && !(await match(key))) await add(key);
  }
}

/** The address under which the answer is kept; undefined if it is not to be. */
function keyOf(request: Request): string | undefined {
  const { method, mode, headers, integrity } = request;
  if (method !== "GET" || headers.has("Range") || headers.has("Authorization")) return undefined;
  const url = new URL(request.url);
  url.hash = "";
  if (url.origin === location.origin) {
    // static files may lie below "api", as JupyterLite's do
    if (/\/api\/(?!.*\.json$)/.test(url.pathname)) return undefined;
    // to a host of static files a page is the same whatever its query
    if (mode === "navigate") url.search = "";
    url.pathname = url.pathname.replace(/\/index\.html$/, "/");
  } else if (mode !== "cors" || !url.pathname.endsWith(".whl")) {
    return undefined;
  }
  if (integrity && !IMMUTABLE.test(url.pathname)) url.searchParams.set("integrity", integrity);
  return url.protocol.startsWith("http") ? url.href : undefined;
}

function isImmutable(key: string): boolean {
  const { pathname, searchParams } = new URL(key);
  return IMMUTABLE.test(pathname) || searchParams.has("integrity");
}

async function fromCacheFirst(event: FetchEvent, key: string): Promise<Response> {
  const cached = await match(key);
  if (cached) return cached;
  if (IMMUTABLE.test(new URL(key).pathname)) {
    event.waitUntil(keepLater(key));
    return await fetch(event.request);
  }
  const response = await fetch(event.request, ANEW);
  if (isKept(response)) event.waitUntil(keepAnswer(key, response.clone()));
  return response;
}

/** Keep what never changes when nothing has been asked for a while: the browser has it still. */
function keepLater(key: string): Promise<void> {
  loaded.add(key);
  if (lull) {
    clearTimeout(lull.timer);
    lull.timer = setTimeout(lull.end, LULL);
    return lull.kept;
  }
  let end = () => undefined as void;
  const kept = new Promise<void>((resolve) => (end = resolve)).then(async () => {
    lull = undefined;
    for (const key of loaded) {
      loaded.delete(key);
      if (!(await match(key))) await add(key);
    }
  });
  lull = { kept, end, timer: setTimeout(end, LULL) };
  return kept;
}

async function fromServerFirst(event: FetchEvent, key: string): Promise<Response> {
  const { request } = event;
  const options = request.cache === "default" ? ANEW : {};
  const kept = match(key);
  const answered = fetch(request, options).then(async (response) => {
    const old = await kept;
    if (isKept(response) && !(old && isSame(old, response))) {
      event.waitUntil(keepAnswer(key, response.clone()));
    } else if (response.status === 404 || response.status === 410) {
      event.waitUntil(remove(key));
    }
    return response;
  });
  event.waitUntil(answered.catch(() => undefined));
  if (!(await kept)) return answered;
  try {
    const response = await within(answered);
    if (response && response.status < 500) return response;
  } catch {
    // the server is not there
  }
  // a body can be read once, and the one that was compared is not read
  return (await kept)!;
}

async function within(answered: Promise<Response>): Promise<Response | undefined> {
  let timer: number | undefined;
  const patience = performance.now() < silentUntil ? 0 : PATIENCE;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => {
      if (patience > 0) silentUntil = performance.now() + SILENCE;
      resolve(undefined);
    }, patience);
  });
  try {
    return await Promise.race([answered, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether the server says that this is what we have: then it need not be written once more. */
function isSame(old: Response, response: Response): boolean {
  return ["ETag", "Last-Modified"].some((name) => {
    const tag = response.headers.get(name);
    return tag !== null && tag === old.headers.get(name) && !hasOtherLength(old, response);
  });
}

function hasOtherLength(old: Response, response: Response): boolean {
  return old.headers.get("Content-Length") !== response.headers.get("Content-Length");
}

function isKept(response: Response): boolean {
  const { status, redirected, headers } = response;
  return status === 200 && !redirected && !/no-store/.test(headers.get("Cache-Control") ?? "");
}

function isManifest(key: string): boolean {
  return new URL(key).pathname.endsWith(`/${MANIFEST}`);
}

/** A new version of a kernel folder: it is in force offline when it is whole. */
function renew(key: string, response: Response): Promise<void> {
  const renewed = (renewing.get(key) ?? Promise.resolve()).then(() => replace(key, response));
  renewing.set(key, renewed);
  return renewed;
}

async function replace(key: string, response: Response): Promise<void> {
  try {
    const copy = response.clone();
    const { files } = (await response.json()) as { files: Record<string, unknown> };
    const named = new Set(Object.keys(files).map((file) => new URL(file, key).href));
    const folder = new URL(".", key).href;
    const cache = await open();
    const stale = (await cache.keys())
      .map(({ url }) => url)
      .filter((url) => url.startsWith(folder) && isImmutable(url) && !named.has(url));
    const used = new Set(stale.map(nameOf));
    for (const url of named) {
      if (used.has(nameOf(url)) && !(await match(url)) && !(await add(url))) return;
    }
    await put(key, copy);
    for (const url of stale) await cache.delete(url);
  } catch (error) {
    console.warn(`Laneway: ${key} is no manifest.`, error);
  }
}

/** What a file is in every version of a folder: its address without hash, and a wheel's without version. */
function nameOf(url: string): string {
  return url.replace(IMMUTABLE, "").replace(/-[^/]*\.whl$/, ".whl");
}

/** Keep what the server has answered. */
async function keepAnswer(key: string, response: Response): Promise<void> {
  try {
    // the browser may have the half still, and would give it again
    if (!(await save(key, response))) await add(key);
  } catch {
    // the page was closed while it loaded
  }
}

/** Load into the cache; false if that cannot be. */
async function add(key: string): Promise<boolean> {
  // the browser may have it still; or half of it, or that it was not there: then the server is asked
  for (const cache of ["force-cache", "reload"] as const) {
    try {
      const response = await fetch(key, { cache });
      if (!response.ok) continue;
      if (!isKept(response)) return false;
      if (await save(key, response)) return true;
    } catch {
      // the server is not there, or has broken off
    }
  }
  return false;
}

/** Put into the cache what is whole; false if it is not, and what was there before stays. */
async function save(key: string, response: Response): Promise<boolean> {
  if (!(await isWhole(response.clone()))) return false;
  await (isManifest(key) ? renew : put)(key, response);
  return true;
}

/**
 * Whether all of the body has come. Where a server breaks off, Chromium's body is an error; to Firefox and WebKit what
 * has come is all.
 */
async function isWhole(response: Response): Promise<boolean> {
  const { type, headers } = response;
  const { size } = await response.blob();
  // the length of what was compressed is another one; and other origins do not say whether it was
  if (headers.has("Content-Encoding") || type !== "basic") return true;
  return size === Number(headers.get("Content-Length") ?? size);
}

async function put(key: string, response: Response): Promise<void> {
  try {
    await (await open()).put(key, response);
  } catch (error) {
    // there is no room
    if (hasWarned) return;
    hasWarned = true;
    console.warn(
      `Laneway: the browser keeps no more for this site, which may not work offline. ${String(error)}`,
    );
  }
}

async function match(key: string): Promise<Response | undefined> {
  // what a server varies by (an encoding, an origin) does not matter here
  return await (await open()).match(key, { ignoreVary: true });
}

async function remove(key: string): Promise<void> {
  await (await open()).delete(key, { ignoreVary: true });
}

function open(): Promise<Cache> {
  return (opened ??= caches.open("laneway"));
}
