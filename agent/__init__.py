"""greenward: a request or a red test suite becomes a branch of commits whose tests pass."""

__version__ = "0.1.0"
