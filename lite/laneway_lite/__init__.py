"""The Laneway kernel for JupyterLite: the labextension, and the addon that puts Pyodide and all wheels into a
site.

- `addon` is the addon of `jupyter lite build`; it takes what it needs from the folder `bundle`.
- `bundle` makes that folder when the distribution is built (`python -m laneway_lite.bundle`).
- `lock` and `index` write the two lists of packages: Pyodide's, and the site's own pip index.
- `bytecode` and `compile.mjs` compile the wheels with Pyodide's own Python.
"""

__version__ = "0.2.0"


def _jupyter_labextension_paths() -> list[dict[str, str]]:  # pyright: ignore[reportUnusedFunction]
    """Where JupyterLab finds the labextensions in a development install."""
    return [
        {"src": "labextension", "dest": "@laneway/lite"},
        {"src": "jobs", "dest": "@laneway/jobs"},
    ]
