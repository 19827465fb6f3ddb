"""`python -m laneway`: the kernel on the desktop."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # the current folder, which may hold a `random.py`; `desktop` puts it back

from .apps.desktop import main

sys.exit(main())
