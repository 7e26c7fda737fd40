"""What the bookings add up to."""

from collections import defaultdict


def hours_by_person(calendars):
    """Hours that each person has booked, over all calendars, in quarters that were begun."""
    hours = defaultdict(float)
    for calendar in calendars:
        for booking in calendar.bookings:
            hours[booking.person] += booking.span.minutes // 60
    return dict(hours)
