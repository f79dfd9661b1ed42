"""Content-Disposition by RFC 6266."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ferry.errors import InvalidFilename
from ferry.rules.disposition import attachment
from ferry.rules.filenames import normalize_filename

CASES = [
    ("6266-5", "a.txt", "a.txt", "a.txt"),
    ("6266-5", "my file.txt", "my file.txt", "my%20file.txt"),
    ("6266-5", "€ rates.txt", "_ rates.txt", "%E2%82%AC%20rates.txt"),
    ("6266-D", 'say "hi".txt', "say _hi_.txt", "say%20%22hi%22.txt"),
    ("6266-D", "50%2e.txt", "50_2e.txt", "50%252e.txt"),
    ("6266-4.1", "a;b=c.txt", "a;b=c.txt", "a%3Bb%3Dc.txt"),
    ("8187-3.2.1", "it's(1)*.txt", "it's(1)*.txt", "it%27s%281%29%2A.txt"),
    ("8187-3.2.1", "!#$&+-.^_`|~", "!#$&+-.^_`|~", "!#$&+-.^_`|~"),
    ("8187-3.2.1", "🚢.bin", "_.bin", "%F0%9F%9A%A2.bin"),
    ("6266-7", "\u202egnp.exe", "_gnp.exe", "%E2%80%AEgnp.exe"),
    ("6266-4.3", "photos/2026/a ship.jpg", "a ship.jpg", "a%20ship.jpg"),
]

GRAMMAR = re.compile(
    r"""attachment; filename="([\x20\x21\x23-\x5b\x5d-\x7e]*)"; """
    r"""filename\*=UTF-8''((?:[A-Za-z0-9!#$&+.^_`|~-]|%[0-9A-F]{2})+)"""
)
"""Token, quoted-string without escapes, and ext-value: the grammar of RFC 6266 section 4.1 for these parameters."""


@pytest.mark.parametrize(("section", "name", "ascii_name", "extended"), CASES)
def test_attachment_name_in_ascii_and_extended_form(section: str, name: str, ascii_name: str, extended: str) -> None:
    """The header has the name in ASCII without escapes, and exactly in the extended form."""
    assert attachment(name) == f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{extended}"


@pytest.mark.parametrize("hostile_name", ['a"; filename="b', "a\r\nSet-Cookie: x=1", "a\\", 'x"\r\n\r\n<script>'])
def test_attachment_special_characters_contained(hostile_name: str) -> None:
    """Quotes, backslashes and line ends cannot end the value, also in names that are not valid."""
    assert GRAMMAR.fullmatch(attachment(hostile_name))


@given(st.text(min_size=1, max_size=120))
def test_attachment_legal_name_round_trips(text: str) -> None:
    """A client decodes the last segment of the name from filename*, and the header matches the grammar."""
    try:
        name = normalize_filename(text)
    except InvalidFilename:
        assume(False)
    match = GRAMMAR.fullmatch(attachment(name))
    assert match is not None
    assert unquote(match[2], errors="strict") == name.rpartition("/")[2]
