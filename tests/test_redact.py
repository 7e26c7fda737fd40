"""Secrets stay out of what is written down."""

import dataclasses
import json
import pickle
from base64 import b64encode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.redact import MARK, Redactor, Secret

KEY = 'sk-4f/8+a b"c%d'


def test_a_secret_does_not_show_itself():
    secret = Secret("sk-123456")
    assert "123456" not in f"{secret} {secret!r} {[secret]} {secret:>20}"
    assert secret.reveal() == "sk-123456"


def test_a_secret_is_not_dumped_with_what_holds_it():
    @dataclasses.dataclass
    class Holder:
        secret: Secret

    assert "123456" not in str(dataclasses.asdict(Holder(Secret("sk-123456"))))
    with pytest.raises(TypeError):
        json.dumps(dataclasses.asdict(Holder(Secret("sk-123456"))))


def test_a_secret_crosses_a_process_border_whole():
    assert pickle.loads(pickle.dumps(Secret("sk-123456"))) == Secret("sk-123456")


@given(st.text(), st.text())
def test_a_known_secret_is_replaced_wherever_it_stands(before, after):
    assert Redactor([Secret("sk-123456")])(f"{before}sk-123456{after}") == Redactor()(before + MARK + after)


def test_a_secret_is_found_as_urls_and_json_spell_it():
    redact = Redactor([Secret(KEY)])
    assert redact(f"?key={'sk-4f%2F8%2Ba%20b%22c%25d'}&x") == f"?key={MARK}&x"
    assert redact(json.dumps({"key": KEY})) == json.dumps({"key": MARK})


@pytest.mark.parametrize(
    "spell",
    [
        bytes,
        bytes.hex,
        lambda key: key.hex().upper(),
        lambda key: key[::-1],
        b64encode,
        lambda key: b64encode(b"KEY=" + key + b"\n"),
        lambda key: urlsafe_b64encode(b"x=" + key + b" "),
        lambda key: json.dumps(key.decode()),
    ],
)
def test_a_secret_is_found_as_code_spells_it_to_be_overlooked(spell):
    told = spell(KEY.encode())
    told = told.encode() if isinstance(told, str) else told
    assert Redactor([Secret(KEY)]).finds(b"\xff\0 " + told + b" \n")
    assert not Redactor([Secret(KEY[::-1].upper())]).finds(b"\xff\0 " + told + b" \n")
    assert not Redactor().finds(told)


def test_the_longer_of_two_secrets_goes_first():
    assert Redactor([Secret("sk-123456"), Secret("sk-123456-789")])("a sk-123456-789 b") == f"a {MARK} b"


def test_a_secret_too_short_to_be_one_does_not_shred_the_text():
    assert Redactor([Secret("a"), Secret("")])("banana") == "banana"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("https://ada:pa55@host/x", f"https://{MARK}@host/x"),
        ("https://ghp_token@host/x", f"https://{MARK}@host/x"),
        ("https://ada:p@ss@host/x", f"https://{MARK}@host/x"),
        ("fatal: 'HTTPS://a:b@h' and ssh://c:d@i", f"fatal: 'HTTPS://{MARK}@h' and ssh://{MARK}@i"),
        ("https://host/@scope/x", "https://host/@scope/x"),
        ("https://host/?mail=a@b", "https://host/?mail=a@b"),
        ("ada@example.org", "ada@example.org"),
        ("see https://host and mail a@b", "see https://host and mail a@b"),
    ],
)
def test_credentials_in_urls_are_replaced(text, clean):
    assert Redactor()(text) == clean


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", ["a", "a-", "://", "a://", "a://b", "a://b:"])
def test_hostile_output_takes_no_longer_than_its_length(piece):
    text = "x://y " + piece * (1_000_000 // len(piece))
    assert Redactor([Secret("sk-123456")])(text) == text


def test_a_redactor_does_not_show_its_secrets():
    assert "123456" not in repr(Redactor([Secret("sk-123456")]))


def test_urls_can_be_left_as_they_are_and_known_secrets_cannot():
    redact = Redactor([Secret("sk-0123456789")], urls=False)
    assert redact("a://me:word@host/?k=sk-0123456789") == f"a://me:word@host/?k={MARK}"
