"""What runs are called."""

import secrets

__all__ = ["new_run_id"]


def new_run_id() -> str:
    """Eight hexadecimal digits."""
    return secrets.token_hex(4)
