"""The hosts run: they guard the core, perform its effects, know when and on which thread. See `base.py`."""
