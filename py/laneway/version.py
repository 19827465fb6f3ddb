"""The version of Laneway, said once."""

__version__ = "0.1.0"
