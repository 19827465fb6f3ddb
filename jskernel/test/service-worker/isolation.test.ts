// The headers of isolation, and where they are not added. What browsers do with them: tests/browser/test_isolation.py.
import assert from "node:assert/strict";
import { test } from "node:test";

// what a service worker has, and Node 20 has not
Object.defineProperty(globalThis, "navigator", { value: { userAgent: "" } });
const { isolated, knowsCredentialless } = await import("#lib/service-worker/isolation.js");

void test("an answer that must have no body is passed on, though WebKit gives it one", () => {
  for (const status of [101, 204, 205, 304]) {
    const response = new Response("text");
    Object.defineProperty(response, "status", { value: status });
    assert.equal(isolated(response), response);
  }
});

void test("headers of the server stay", () => {
  const { headers } = isolated(
    new Response("", { headers: { "Cross-Origin-Opener-Policy": "unsafe-none", "X-Other": "1" } }),
  );
  assert.equal(headers.get("Cross-Origin-Opener-Policy"), "unsafe-none");
  assert.equal(headers.get("Cross-Origin-Embedder-Policy"), "require-corp");
  assert.equal(headers.get("X-Other"), "1");
});

void test("credentialless is for browsers that know it", () => {
  const webkit = "AppleWebKit/605.1.15 (KHTML, like Gecko)";
  const known = {
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36": true,
    "Mozilla/5.0 (X11; Linux x86_64; rv:119.0) Gecko/20100101 Firefox/119.0": true,
    "Mozilla/5.0 (X11; Linux x86_64; rv:118.0) Gecko/20100101 Firefox/118.0": false,
    [`Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) ${webkit} Version/26.0 Safari/605.1.15`]: false,
    [`Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) ${webkit} FxiOS/140.0 Mobile/15E148`]: false,
    [`Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) ${webkit} CriOS/140.0 Mobile/15E148`]: false,
  };
  for (const [userAgent, expected] of Object.entries(known)) {
    assert.equal(knowsCredentialless(userAgent), expected, userAgent);
  }
});
