/** What a page tells our service worker. */
export type PageNote =
  /** Control this page, too. */
  | { type: "laneway-claim" }
  /** The page and its workers have loaded this without the service worker. */
  | { type: "laneway-fetched"; urls: string[] };

/** The BroadcastChannel by which a worker tells its page what it has loaded without the service worker. */
export const FETCHED = "laneway-fetched";
