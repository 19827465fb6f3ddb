"""The suites with threads again while CPython takes its lock away as often as it can: races come out that
otherwise need a week. `LANEWAY_STORM=20 pytest tests/test_switching.py` runs them 20 times.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROUNDS = int(os.environ.get("LANEWAY_STORM", "1"))

PROGRAM = """
import sys, pytest
sys.setswitchinterval(1e-6)
sys.exit(pytest.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("round_", range(ROUNDS))
@pytest.mark.parametrize("suite", ["hosts", "transports"])
def test_switching_all_the_time(suite: str, round_: int) -> None:
    command = [sys.executable, "-c", PROGRAM, "-q", "-p", "no:cacheprovider", str(TESTS / suite)]
    result = subprocess.run(
        command, cwd=TESTS.parent, capture_output=True, text=True, timeout=900, check=False
    )
    assert result.returncode == 0, result.stdout[-8000:]
