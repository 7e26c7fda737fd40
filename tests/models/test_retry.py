"""When to try again, and when not."""

import pytest

from agent.models import ModelError
from agent.models.retry import delay, read_retry_after

BUSY = ModelError("overloaded", "busy", retryable=True)


def full():
    return 0.0


def least():
    return 0.999999


def test_the_wait_doubles_up_to_the_cap():
    waits = [delay(BUSY, attempt, random=full, attempts=99) for attempt in range(1, 9)]
    assert waits == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_jitter_takes_off_up_to_a_quarter():
    assert delay(BUSY, 3, random=least) == pytest.approx(1.5, abs=0.001)


def test_many_failures_in_a_row_do_not_overflow():
    assert delay(BUSY, 5000, random=full, attempts=9999) == 30


def test_the_last_attempt_is_not_followed_by_another():
    assert delay(BUSY, 2, random=full, attempts=3) is not None
    assert delay(BUSY, 3, random=full, attempts=3) is None


def test_what_cannot_succeed_is_not_tried_again():
    assert delay(ModelError("quota", "no credit"), 1, random=full) is None


def test_what_the_client_learned_from_is_sent_again_at_once_however_often():
    assert delay(ModelError("refused", "no tools", retryable=True, again=True), 99, random=full, remaining=0.0) == 0.0


def test_a_server_that_asks_for_more_gets_more_even_past_the_cap():
    assert delay(ModelError("rate_limited", "", retryable=True, retry_after=90), 1, random=full) == 90


def test_a_server_that_asks_for_less_does_not_shorten_the_backoff():
    assert delay(ModelError("rate_limited", "", retryable=True, retry_after=0.1), 4, random=full) == 4


def test_a_wait_that_does_not_fit_into_the_run_is_not_begun():
    asked = ModelError("rate_limited", "", retryable=True, retry_after=3600)
    assert delay(asked, 1, random=full, remaining=600) is None
    assert delay(asked, 1, random=full, remaining=4000) == 3600


NOON = 1_700_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 GMT"}, 30),
        ({"retry-after": "Tue, 14 Nov 2023 22:00:00 GMT"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "Tue, 99 Nov 2023 22:00:00 GMT"}, None),
    ],
)
def test_retry_after_is_read_in_seconds_milliseconds_and_as_a_date(headers, seconds):
    assert read_retry_after(headers, now=NOON) == seconds
