"""The protocol: pure decisions, stdlib only. Start with `routes.py`, then `kernel.py`."""
