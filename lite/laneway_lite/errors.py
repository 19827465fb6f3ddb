"""The one exception of this package."""


class BuildError(Exception):
    """The site or the bundle cannot be built; the message is a sentence that says what to do."""
