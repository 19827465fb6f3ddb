"""How long the storms last: briefly in `make test`, long in `make soak`, which sets `LANEWAY_SOAK`."""

from __future__ import annotations

import os
from pathlib import Path

SOAK = bool(os.environ.get("LANEWAY_SOAK"))
"""Is this `make soak`?"""


def rounds(short: int, long: int) -> int:
    """So many in `make test`, so many in `make soak`."""
    return long if SOAK else short


def memory(process: int | None = None) -> int:
    """The bytes that this process, or another one, has in memory. Linux only."""
    statm = Path(f"/proc/{process or 'self'}/statm").read_text()
    return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE")
