/** Style sheets that come with fonts, and so are files of their own. */

const loaded = new Map<string, Promise<void>>();

/** Resolves when the style sheet is there, or cannot be had, which the console says. */
export function loadSheet(url: URL): Promise<void> {
  let loading = loaded.get(url.href);
  if (!loading) {
    const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href: url.href });
    loading = new Promise((resolve) => {
      link.addEventListener("load", () => resolve());
      link.addEventListener("error", () => resolve());
    });
    loaded.set(url.href, loading);
    document.head.append(link);
  }
  return loading;
}
