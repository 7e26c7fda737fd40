"""Numbers as people read them."""

__all__ = ["budget", "dollars", "duration", "percent"]

MINUTE, HOUR = 60, 3600


def dollars(amount: float) -> str:
    """As `$0.0123`: a turn costs a fraction of a cent."""
    return f"${max(amount, 0.0):,.4f}"


def budget(amount: float) -> str:
    """As `$1.00`."""
    return "no limit" if amount == float("inf") else f"${amount:,.2f}"


def duration(seconds: float) -> str:
    """As `0.4 s`, `12 s`, `3 min 5 s` and `1 h 2 min`."""
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f} s"
    if seconds == float("inf"):
        return "without end"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s"
    return f"{whole // HOUR:,} h {whole % HOUR // MINUTE} min"


def percent(part: float, whole: float) -> str:
    """As `2 %`; `0.3 %` below one, empty where there is no whole."""
    if not 0 < whole < float("inf"):
        return ""
    share = 100 * part / whole
    return f"{share:.1f} %" if 0 < share < 0.95 else f"{share:.0f} %"
