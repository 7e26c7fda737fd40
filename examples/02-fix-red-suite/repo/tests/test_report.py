from bookings import Calendar, hours_by_person


def calendar(**bookings):
    made = Calendar()
    for person, span in bookings.items():
        made.book(person, span)
    return made


def test_hours_are_added_up_over_calendars():
    calendars = [calendar(ada="09:00-10:00", grace="12:00-15:00"), calendar(ada="09:00-11:00")]
    assert hours_by_person(calendars) == {"ada": 3, "grace": 3}


def test_half_an_hour_counts():
    assert hours_by_person([calendar(ada="09:00-10:30", grace="11:00-11:45")]) == {"ada": 1.5, "grace": 0.75}


def test_a_quarter_that_was_begun_counts():
    assert hours_by_person([calendar(ada="09:00-09:20", grace="10:00-10:10")]) == {"ada": 0.5, "grace": 0.25}


def test_nothing_booked_is_nothing_to_report():
    assert hours_by_person([Calendar()]) == {}
