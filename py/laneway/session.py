"""Where ids and dates come from: `protocol/` has neither clock nor chance of its own."""

from __future__ import annotations

import itertools
import uuid
from datetime import UTC, datetime

from .protocol.message import Stamp


def new_session() -> Stamp:
    """The stamp of a new session: its ids are unique, and numbered in the order in which they were made."""
    session = uuid.uuid4().hex
    numbers = itertools.count(1)
    return Stamp(session, lambda: f"{session}_{next(numbers)}", now)


def now() -> str:
    """The present moment, as the dates of headers are written."""
    return datetime.now(UTC).isoformat()
