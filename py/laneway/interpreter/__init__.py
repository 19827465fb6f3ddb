"""The interpreter executes user code: IPython behind the port `Interpreter`. See `ipython.py`."""
