"""Spans of time within a day, in minutes since midnight."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Span:
    """From `start` to `end`; the minute `end` is no part of it."""

    start: int
    end: int

    def __post_init__(self):
        if not 0 <= self.start < self.end <= 24 * 60:
            raise ValueError(f"no span of time within a day: {self.start} to {self.end}")

    @classmethod
    def parse(cls, text):
        """Read a span written as `09:30-11:00`."""
        start, separator, end = text.partition("-")
        if not separator:
            raise ValueError(f"a span is written as 09:30-11:00, not {text!r}")
        return cls(_minutes(start), _minutes(end))

    @property
    def minutes(self):
        return self.end - self.start

    def overlaps(self, other):
        return self.start <= other.end and other.start <= self.end

    def __str__(self):
        return f"{_clock(self.start)}-{_clock(self.end)}"


def _minutes(text):
    hours, _, minutes = text.strip().partition(":")
    return int(hours) * 60 + int(minutes)


def _clock(minutes):
    return f"{minutes // 60:02}:{minutes % 60:02}"
