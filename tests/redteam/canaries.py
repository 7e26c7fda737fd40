"""Secrets that nobody may see again, and a search for them in whatever a job leaves, however they are spelled there."""

import base64
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote

PREFIX = "gw7Canary"
"""How every canary begins, so that code that hunts for them can be made to see one."""
_NEST = 3
_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_ZIP = b"PK\x03\x04"
_GZIP = b"\x1f\x8b"


def canary(name: str) -> str:
    """The secret of that name: as long as a real key, with characters that URLs, JSON and base64 spell otherwise."""
    return f"{PREFIX}{name}+/9fT3q&Zk" + "".join(chr(ord("a") + (7 * n + len(name)) % 26) for n in range(14))


@dataclass(frozen=True, kw_only=True)
class Found:
    """A canary that was found."""

    place: str
    name: str
    form: str


def forms(secret: str) -> dict[str, bytes]:
    """The ways in which a secret may be written down by whoever wants it to pass unseen."""
    data = secret.encode()
    half = len(data) // 2
    spelled = {
        "raw": data,
        "reversed": data[::-1],
        "hex": data.hex().encode(),
        "upper hex": data.hex().upper().encode(),
        "url": quote(secret, safe="").encode(),
        "first half": data[:half],
        "second half": data[half:],
    }
    for shift in range(3):
        for name, encode in (("base64", base64.b64encode), ("url-safe base64", base64.urlsafe_b64encode)):
            whole = encode(b"\0" * shift + data)
            spelled[f"{name} at {shift}"] = whole[(0, 2, 3)[shift] : len(whole) - 4]
    return spelled


class Search:
    """Looks for canaries in bytes, and in what is packed in them."""

    def __init__(self, canaries: Mapping[str, str]) -> None:
        self._forms = [
            (name, form, spelled) for name, secret in canaries.items() for form, spelled in forms(secret).items()
        ]

    def within(self, places: Mapping[str, bytes]) -> list[Found]:
        """All that is found, by place."""
        return [found for place, data in places.items() for found in self.inside(place, data)]

    def inside(self, place: str, data: bytes) -> Iterator[Found]:
        """What is found in one of them."""
        for layer in layers(data):
            for name, form, spelled in self._forms:
                if spelled in layer:
                    yield Found(place=place, name=name, form=form)


def layers(data: bytes, depth: int = _NEST) -> Iterator[bytes]:
    """`data`, and what it holds packed by gzip, zlib or zip."""
    yield data
    if depth == 0:
        return
    packed: list[bytes] = []
    if data.startswith(_GZIP):
        with suppress(OSError, EOFError, zlib.error):
            packed.append(gzip.decompress(data))
    elif data.startswith(_ZLIB):
        with suppress(zlib.error):
            packed.append(zlib.decompress(data))
    elif data.startswith(_ZIP):
        with suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(data)) as opened:
            packed += [opened.read(name) for name in opened.namelist()]
    for each in packed:
        yield from layers(each, depth - 1)
