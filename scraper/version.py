"""The version, read from here by the package and by each run."""

__version__ = "0.1.0"
