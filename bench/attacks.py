"""The promises under attack, in numbers: money, crashes, faults of the engine, cheats, chance, tampering, secrets.

    python -m bench.attacks [NAME ...]

Each takes minutes; without a name all of them are carried out, one after the other, but for the real packages: those
take half an hour, and are judged when they are named.
"""

import sys
from collections.abc import Callable, Sequence

from bench import crash, enginefaults, flaky, judging, money, packages, redteam, tampering

__all__ = ["ATTACKS", "attack"]


PACKAGES = "real packages"


def _engine() -> None:
    print(enginefaults.table(enginefaults.engine_faults()))


ATTACKS: dict[str, Callable[[], None]] = {
    "money": money.print_money,
    "crashes": lambda: print(crash.told(crash.crash())),
    "engine": _engine,
    "cheats": lambda: print(judging.cheating()),
    "honest work": lambda: print(judging.honest_work()),
    "chance": flaky.main,
    "tampering": lambda: print(tampering.tampering()),
    "secrets": lambda: print(redteam.secrets()),
    PACKAGES: lambda: print(f"\nall as they are: {packages.packages()}"),
}


def attack(names: Sequence[str] = ()) -> None:
    """Carry out the attacks `names`, or all of them but the longest, and print what came of each."""
    for name in names or [name for name in ATTACKS if name != PACKAGES]:
        print(f"\n{name}:\n", flush=True)
        ATTACKS[name]()


if __name__ == "__main__":
    attack(sys.argv[1:])
