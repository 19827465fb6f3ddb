"""Child processes that tests stop for a while, as a debugger or a suspended machine does."""

from __future__ import annotations

import os
import signal


def stop(process: int) -> None:
    """Stop our child, and wait until it stands still: all of its threads, in the middle of whatever they do.
    The signal alone takes effect a little later, and until then threads go on, and answer.
    """
    os.kill(process, signal.SIGSTOP)
    _, status = os.waitpid(process, os.WUNTRACED)  # who else waits, for its end, is not told
    assert os.WIFSTOPPED(status), f"process {process} has ended"
