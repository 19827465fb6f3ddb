/** The element in a bundle: `<meta name="laneway-kernel" content="kernel/">` says where the kernel folder is. */

import { useClient } from "@laneway/cell";
import type { LanewayCell } from "@laneway/cell";
import { launch } from "@laneway/kernel/browser";

useClient(() => launch({ kernelURL: "kernel/", spare: true }), "tutorial");

const cell: LanewayCell | null = document.querySelector("laneway-cell");
await cell?.run();
