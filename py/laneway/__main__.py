"""`python -m laneway`: the kernel on the desktop."""

import gc
import sys

gc.disable()  # nothing that is imported is garbage: looking for some takes a tenth of the start
if not sys.flags.safe_path:
    del sys.path[0]  # the current folder, which may hold a `random.py`; `desktop` puts it back

from .apps.desktop import main  # noqa: E402

sys.exit(main())
