"""Bookings of meeting rooms."""

from bookings.calendar import Booking, Calendar, Taken
from bookings.report import hours_by_person
from bookings.span import Span

__all__ = ["Booking", "Calendar", "Span", "Taken", "hours_by_person"]
