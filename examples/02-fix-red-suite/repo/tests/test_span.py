import pytest

from bookings import Span


def test_a_span_is_read_and_written_alike():
    assert str(Span.parse("09:30-11:00")) == "09:30-11:00"


def test_a_span_knows_its_length():
    assert Span.parse("09:30-11:00").minutes == 90


@pytest.mark.parametrize("text", ["09:30", "11:00-09:30", "09:00-09:00", "09:00-25:00"])
def test_what_is_no_span_is_refused(text):
    with pytest.raises(ValueError):
        Span.parse(text)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("09:00-10:00", "09:30-10:30", True),
        ("09:00-12:00", "10:00-11:00", True),
        ("09:00-10:00", "10:00-11:00", False),
        ("09:00-10:00", "14:00-15:00", False),
    ],
)
def test_spans_overlap_if_they_share_a_minute(one, other, expected):
    assert Span.parse(one).overlaps(Span.parse(other)) is expected
    assert Span.parse(other).overlaps(Span.parse(one)) is expected
