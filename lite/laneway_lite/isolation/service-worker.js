/** The service worker of a plain page: passes everything through, and isolates. */

"use strict";

importScripts("isolation.js");

addEventListener("install", () => skipWaiting());
addEventListener("fetch", (event) => event.respondWith(fetch(event.request)));
