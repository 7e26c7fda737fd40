"""Server-sent events, cut anywhere."""

import pytest

from agent.models.sse import read_events


def read(*chunks):
    strays = []
    return list(read_events(chunks, strays)), strays


def test_an_event_is_its_data_without_the_space_after_the_colon():
    assert read(b"data: {}\n\ndata:[DONE]\n\n") == (["{}", "[DONE]"], [])


def test_comments_blank_data_and_other_fields_are_no_events():
    assert read(b": ping\n\ndata:\n\ndata: \n\nevent: x\nid: 3\nretry: 1\n\ndata: 1\n\n") == (["1"], [])


def test_carriage_returns_belong_to_the_line_end():
    assert read(b"data: 1\r\n\r\ndata: 2\r\n\r\n") == (["1", "2"], [])


def test_lines_of_data_are_one_event():
    assert read(b"data: {\ndata: }\n\n") == (["{\n}"], [])


def test_the_last_event_needs_no_blank_line():
    assert read(b"data: 1\n\ndata: [DONE]") == (["1", "[DONE]"], [])


def test_separators_of_unicode_do_not_end_a_line():
    assert read("data: a\u2028\x85x\n\n".encode()) == (["a\u2028\x85x"], [])


def test_a_body_that_is_no_stream_is_kept_as_strays():
    assert read(b'{"error":\n"no"}\n') == ([], ['{"error":', '"no"}'])


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_it_does_not_matter_where_the_bytes_are_cut(size):
    body = 'data: {"a": "é\U0001f600"}\r\n\r\n: x\n\ndata: [DONE]\n\n'.encode()
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    assert read(*pieces) == read(body) == (['{"a": "é\U0001f600"}', "[DONE]"], [])


def test_bytes_that_are_no_text_raise():
    with pytest.raises(UnicodeDecodeError):
        read(b"data: \xff\n\n")
