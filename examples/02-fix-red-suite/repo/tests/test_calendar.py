import pytest

from bookings import Calendar, Taken


@pytest.fixture
def calendar():
    calendar = Calendar()
    calendar.book("Ada", "09:00-10:00")
    return calendar


def test_a_room_cannot_be_booked_twice(calendar):
    with pytest.raises(Taken, match="Ada has the room 09:00-10:00"):
        calendar.book("Grace", "09:30-11:00")


def test_one_meeting_can_follow_on_another(calendar):
    calendar.book("Grace", "10:00-11:00")
    calendar.book("Edsger", "08:30-09:00")
    assert [booking.person for booking in calendar.bookings] == ["Edsger", "Ada", "Grace"]


def test_a_closed_room_cannot_be_booked(calendar):
    with pytest.raises(ValueError, match="open 08:00-18:00"):
        calendar.book("Grace", "17:00-19:00")


def test_what_is_free_lies_between_the_bookings(calendar):
    calendar.book("Grace", "12:00-13:30")
    assert [str(span) for span in calendar.free()] == ["08:00-09:00", "10:00-12:00", "13:30-18:00"]
