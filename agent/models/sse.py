"""Server-sent events, as far as chat completions use them."""

from collections.abc import Iterable, Iterator

__all__ = ["DONE", "read_events"]

DONE = "[DONE]"


def read_events(chunks: Iterable[bytes], strays: list[str]) -> Iterator[str]:
    """Yield the data of each event; comments and blank data, the heartbeats of gateways, are passed over.

    Lines that belong to no event go to `strays`: a body that is no stream at all is found there. An event that the end
    of the body leaves without its blank line is yielded too.

    Raises:
        UnicodeDecodeError: the body is not UTF-8.
    """
    data: list[str] = []
    for line in _lines(chunks):
        field, _, value = line.partition(":")
        if field == "data":
            data.append(value.removeprefix(" "))
        elif not line:
            yield from _event(data)
            data.clear()
        elif field not in ("", "event", "id", "retry"):
            strays.append(line)
    yield from _event(data)


def _event(data: list[str]) -> Iterator[str]:
    text = "\n".join(data).strip()
    if text:
        yield text


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Lines without their ends; a carriage return cannot occur inside JSON."""
    rest: list[bytes] = []
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        rest.append(first)
        for other in others:
            yield _line(rest)
            rest = [other]
    if any(rest):
        yield _line(rest)


def _line(parts: list[bytes]) -> str:
    return b"".join(parts).removesuffix(b"\r").decode("utf-8")
