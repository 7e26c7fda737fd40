"""What providers say when they refuse, and what it means."""

import json

import pytest

from agent.models.faults import error_in, fault_from, to_error

IDS = {"X-Request-Id": "req-1", "X-RunAPI-Task-Id": "task-2"}


def error(status, body, headers=(), secret=""):
    text = body if isinstance(body, str) else json.dumps(body)
    return to_error(fault_from(status, text, dict(headers), now=0.0), secret=secret)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ({"error": {"message": "no such field", "code": "bad_field"}}, "HTTP 400 bad_field: no such field"),
        ({"error": {"message": "bad", "type": "invalid_request_error"}}, "HTTP 400 invalid_request_error: bad"),
        ({"error": "no such field"}, "HTTP 400: no such field"),
        ({"errors": ["one", "two"]}, "HTTP 400: one; two"),
        ({"errors": [{"message": "one", "code": "c"}]}, "HTTP 400 c: one"),
        ({"message": "plain"}, "HTTP 400: plain"),
        ({"detail": "plain"}, "HTTP 400: plain"),
        ({"detail": [{"loc": ["body"], "msg": "field required"}]}, "HTTP 400: field required"),
        ({"errorMessage": "plain"}, "HTTP 400: plain"),
        ({"msg": "plain"}, "HTTP 400: plain"),
        ("<html><head><title>400 Bad\nRequest</title></head><body>x</body></html>", "HTTP 400: 400 Bad Request"),
        ("just text", "HTTP 400: just text"),
        ("", "HTTP 400"),
    ],
)
def test_each_shape_of_error_becomes_one_line(body, line):
    assert error(400, body, IDS.items()).message == f"{line} (request req-1, task task-2)"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"error": {"message": "no", "param": "tools"}}, "tools"),
        ({"detail": [{"type": "extra_forbidden", "loc": ["body", "tools", 0], "msg": "Extra inputs"}]}, "tools.0"),
        ({"errors": [{"loc": ["tools"], "msg": "no"}]}, "tools"),
        ({"detail": "no"}, ""),
        ({"detail": [{"loc": "body", "msg": "no"}]}, ""),
    ],
)
def test_the_field_that_is_complained_of_is_found(body, param):
    assert fault_from(422, json.dumps(body), {}, now=0.0).param == param


CLASSES = [
    (400, "invalid_request_error", "invalid temperature", "refused", False),
    (400, "content_filter", "The request was rejected because it was considered high risk", "filtered", False),
    (400, "invalid_request_error", "Input token length too long", "overflow", False),
    (400, "invalid_request_error", "prompt tokens + max_tokens exceeds the limit", "overflow", False),
    (
        400,
        "invalid_request_error",
        "Your request exceeded model token limit: 262144 (requested: 425573)",
        "overflow",
        False,
    ),
    (401, "invalid_authentication_error", "Invalid Authentication", "auth", False),
    (402, "", "insufficient credits", "quota", False),
    (403, "permission_denied_error", "not open", "auth", False),
    (404, "resource_not_found_error", "Not found the model", "refused", False),
    (408, "", "timeout", "transport", True),
    (409, "", "conflict", "transport", True),
    (413, "", "too large", "overflow", False),
    (415, "", "media type", "refused", False),
    (422, "", "unprocessable", "refused", False),
    (429, "engine_overloaded_error", "overloaded", "overloaded", True),
    (429, "rate_limit_reached_error", "reached TPM rate limit, current: 5, limit: 4", "rate_limited", True),
    (429, "rate_limit_reached_error", "reached TPD rate limit", "rate_limited", False),
    (429, "exceeded_current_quota_error", "check your plan", "quota", False),
    (429, "", "Your account is in arrears, please recharge", "quota", False),
    (429, "", "Insufficient balance", "quota", False),
    (499, "client_closed_request", "closed", "transport", True),
    (500, "server_error", "oops", "overloaded", True),
    (502, "", "bad gateway", "overloaded", True),
    (503, "server_unavailable", "", "overloaded", True),
    (504, "timeout", "", "overloaded", True),
    (529, "overloaded", "", "overloaded", True),
    (307, "", "moved", "refused", False),
]


@pytest.mark.parametrize(("status", "kind_of_error", "text", "kind", "retryable"), CLASSES)
def test_each_error_has_its_kind(status, kind_of_error, text, kind, retryable):
    found = error(status, {"error": {"message": text, "type": kind_of_error}})
    assert (found.kind, found.retryable) == (kind, retryable)


@pytest.mark.parametrize("status", [*range(300, 309), *range(400, 452), 499, *range(500, 512), 520, 524, 529, 598])
def test_only_what_the_vendor_does_not_charge_is_unbilled(status):
    """A timeout, a conflict, a client that has gone: whether there was any work before these, nobody says."""
    unsure = {408, 409, 425, 499}
    assert error(status, "no").billed is (status >= 500 or status in unsure)


@pytest.mark.parametrize(
    ("inner", "kind", "retryable"),
    [
        ({"type": "engine_overloaded_error", "message": "busy"}, "overloaded", True),
        ({"type": "exceeded_current_quota_error", "message": "pay"}, "quota", False),
        ({"type": "content_filter", "message": "high risk"}, "filtered", False),
        ({"code": 429, "message": "slow down"}, "rate_limited", True),
        ({"code": "401", "message": "key"}, "auth", False),
        ({"message": "something broke"}, "transport", True),
        ("something broke", "transport", True),
    ],
)
def test_an_error_inside_a_good_status_is_classified_by_its_type(inner, kind, retryable):
    found = error(None, {"error": inner})
    assert (found.kind, found.retryable) == (kind, retryable)


def test_a_missing_model_names_where_to_look():
    assert "/v1/models" in error(404, {"error": {"message": "x"}}).hint
    assert "retired" in error(404, {"error": {"message": "x"}}).hint


def test_refused_tools_are_said_to_be_refused():
    assert "takes no tools" in error(400, {"error": "tools are not currently accepted"}).hint


def test_the_key_is_blacked_out_where_the_provider_echoes_it():
    found = error(401, {"error": "Incorrect API key: sk-secret"}, secret="sk-secret")
    assert found.message == "HTTP 401: Incorrect API key: ***"


def test_control_characters_and_long_bodies_do_not_reach_the_message():
    found = error(500, {"error": {"message": "a\x1b]52;c\x07\u202eb\n" + "x" * 10_000, "type": ["no"]}})
    assert found.message.isprintable()
    assert len(found.message) < 250


def test_a_wait_that_the_server_asks_for_is_passed_on():
    assert error(429, "slow", {"Retry-After": "12"}.items()).retry_after == 12


@pytest.mark.parametrize(
    ("body", "is_error"),
    [
        ({"error": {"message": "x"}}, True),
        ({"error": "x", "choices": []}, True),
        ({"error": None, "choices": []}, False),
        ({"message": "x", "code": 500}, True),
        ({"choices": [], "usage": {}}, False),
        ({"usage": {}}, False),
        ([], False),
        (None, False),
    ],
)
def test_an_error_is_told_from_a_chunk(body, is_error):
    assert error_in(body) is is_error
