"""Whether `verify` names what was changed of a proof and of all that it speaks of: five hundred times one byte.

python -m bench.tampering
"""

import tempfile
from pathlib import Path

from tests.proofs.proven import flips, prove, told

FLIPS = 500


def tampering(count: int = FLIPS) -> str:
    """The table of flips by what was changed, and how many of them were named."""
    with tempfile.TemporaryDirectory() as directory:
        proven = prove(Path(directory))
        return told(lambda: flips(proven, count))


if __name__ == "__main__":
    print(tampering())
