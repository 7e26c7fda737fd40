"""The calendar of one room on one day."""

from dataclasses import dataclass

from bookings.span import Span


class Taken(Exception):
    """The room is booked already."""


@dataclass(frozen=True)
class Booking:
    person: str
    span: Span


class Calendar:
    def __init__(self, opens="08:00-18:00"):
        self.opens = Span.parse(opens)
        self.bookings = []

    def book(self, person, span):
        """Book the room for `person`.

        Raises:
            Taken: somebody has it for a part of that time.
            ValueError: the room is closed for a part of that time.
        """
        span = Span.parse(span) if isinstance(span, str) else span
        if span.start < self.opens.start or span.end > self.opens.end:
            raise ValueError(f"the room is open {self.opens}")
        for booking in self.bookings:
            if booking.span.overlaps(span):
                raise Taken(f"{booking.person} has the room {booking.span}")
        self.bookings.append(Booking(person, span))
        self.bookings.sort(key=lambda booking: booking.span)

    def free(self):
        """The spans in which the room can still be booked, in their order."""
        spans, start = [], self.opens.start
        for booking in self.bookings:
            if start < booking.span.start:
                spans.append(Span(start, booking.span.start))
            start = booking.span.end
        if start < self.opens.end:
            spans.append(Span(start, self.opens.end))
        return spans
