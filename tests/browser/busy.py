"""Cells that keep a kernel busy for as long as nobody interrupts them, and say first that they are ready."""

BUSY = {
    "awaits": "import asyncio\nprint('ready')\nawait asyncio.sleep(1000)",
    "sleeps": "import time\nprint('ready')\ntime.sleep(1000)",
    "computes": "print('ready')\nwhile True: pass",
}

BUSY_OR_ASKING = {**BUSY, "asks": "print('ready')\ninput()"}
