"""Which filenames are valid."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferry.errors import InvalidFilename
from ferry.rules.filenames import normalise_filename

LEGAL_NAMES = [
    "a",
    "report 2026.pdf",
    "%2e%2e",
    "partial",
    "...",
    ".hidden",
    "a#b?c&d=e+f",
    'say "hi" it\'s; *free*',
    "🚢⛴️.bin",
    "\u202egnp.exe",
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629.txt",
    "e\u0301t\u00e9",
    "\ufeffbom",
    "zero\u200bwidth",
    "no\u00a0break",
    "C:",
    "x" * 255,
    "é" * 127,
    "🚢" * 63,
    # 510 bytes as sent, 255 bytes in form C, which is what counts.
    "\u1112\u1161\u11ab" * 85,
]

ILLEGAL_NAMES = [
    ("", "empty"),
    (".", "not filenames"),
    ("..", "not filenames"),
    ("a/b", "no '/'"),
    ("/", "no '/'"),
    ("..\\x", "no '/'"),
    ("nul\0", "control"),
    ("line\nbreak", "control"),
    ("tab\tin", "control"),
    ("del\x7f", "control"),
    ("c1\x85mid", "control"),
    (" lead", "white space"),
    ("trail ", "white space"),
    ("\u3000ideographic", "white space"),
    ("nbsp\u00a0", "white space"),
    # Form C replaces U+2000 by U+2002, which is also white space.
    ("quad\u2000", "white space"),
    ("half\ud83d", "surrogate"),
    ("\udc80", "surrogate"),
    ("x" * 256, "255 bytes"),
    ("é" * 128, "255 bytes"),
    ("🚢" * 64, "255 bytes"),
    # U+0958 has three bytes as sent and six in form C.
    ("\u0958" * 85, "255 bytes"),
    ("\u0301" * 1_000_000, "255 bytes"),
]


@pytest.mark.parametrize("name", LEGAL_NAMES)
def test_normalise_legal_name_kept(name: str) -> None:
    """A valid name is returned in normal form C."""
    assert normalise_filename(name) == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize(
    ("name", "rule"), ILLEGAL_NAMES, ids=[repr(name[:12]) + str(len(name)) for name, _ in ILLEGAL_NAMES]
)
def test_normalise_illegal_name_rejected(name: str, rule: str) -> None:
    """An invalid name raises InvalidFilename with the rule that it breaks."""
    with pytest.raises(InvalidFilename, match=rule) as rejected:
        normalise_filename(name)
    assert rejected.value.code == "invalid_filename"
    assert rejected.value.extra["errors"][0]["loc"] == ["filename"]


def test_normalise_two_spellings_same_name() -> None:
    """A composed and a decomposed letter are the same name."""
    assert normalise_filename("e\u0301") == normalise_filename("\u00e9") == "\u00e9"


@given(st.text(max_size=300))
def test_normalise_accepted_name_keeps_rules(name: str) -> None:
    """Any accepted text is valid after normalisation and does not change when normalised again."""
    try:
        normalised = normalise_filename(name)
    except InvalidFilename:
        return
    assert 1 <= len(normalised.encode()) <= 255
    assert not set(normalised) & set("/\\")
    assert normalised not in (".", "..")
    assert normalised == normalised.strip()
    assert all(unicodedata.category(character) not in ("Cc", "Cs") for character in normalised)
    assert normalise_filename(normalised) == normalised
