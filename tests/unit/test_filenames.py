"""Which filenames are valid."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ferry.errors import InvalidFilename
from ferry.rules.filenames import last_segment, normalize_filename

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
    "a/b",
    "photos/2026/ship 🚢.jpg",
    "partial/a",
    "%2e%2e/x",
    ".../....",
    "a/.hidden/b",
    "x" * 255,
    "é" * 127,
    "🚢" * 63,
    # 765 bytes as sent, 255 bytes in form C, which is what counts.
    "\u1112\u1161\u11ab" * 85,
    # 1,000 bytes: three segments of 255, one of 232, three slashes.
    "/".join(["x" * 255] * 3 + ["y" * 232]),
    "/".join(["a"] * 500) + "b",
    # Three code points as sent for each code point of two bytes in form C.
    "/".join(["u\u0308\u0304" * 127] * 3 + ["z" * 235]),
]

ILLEGAL_NAMES = [
    ("", "empty"),
    (".", "not segments"),
    ("..", "not segments"),
    ("a/./b", "not segments"),
    ("../etc/passwd", "not segments"),
    ("a/..", "not segments"),
    ("/", "begin or end with '/'"),
    ("/a", "begin or end with '/'"),
    ("a/", "begin or end with '/'"),
    ("a//b", "no '//'"),
    ("..\\x", "no '\\\\'"),
    ("a/b\\c", "no '\\\\'"),
    ("caf\ufffd.txt", "FFFD"),
    ("a/\ufffd/b", "FFFD"),
    ("nul\0", "control"),
    ("line\nbreak", "control"),
    ("tab\tin", "control"),
    ("del\x7f", "control"),
    ("c1\x85mid", "control"),
    (" lead", "white space"),
    ("trail ", "white space"),
    ("a/ b", "white space"),
    ("a /b", "white space"),
    ("a/ /b", "white space"),
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
    ("a/" + "x" * 256 + "/b", "255 bytes"),
    ("/".join(["x" * 255] * 3 + ["y" * 233]), "1000 bytes"),
    ("/".join(["é" * 127] * 4), "1000 bytes"),
    ("a/" * 500 + "b", "1000 bytes"),
    ("\u0301" * 1_000_000, "1000 bytes"),
]


@pytest.mark.parametrize("name", LEGAL_NAMES)
def test_normalize_legal_name_kept(name: str) -> None:
    """A valid name is returned in normal form C."""
    assert normalize_filename(name) == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize(
    ("name", "rule"), ILLEGAL_NAMES, ids=[repr(name[:12]) + str(len(name)) for name, _ in ILLEGAL_NAMES]
)
def test_normalize_illegal_name_rejected(name: str, rule: str) -> None:
    """An invalid name raises InvalidFilename with the rule that it breaks."""
    with pytest.raises(InvalidFilename, match=rule) as rejected:
        normalize_filename(name)
    assert rejected.value.code == "invalid_filename"
    assert rejected.value.extra["errors"][0]["loc"] == ["filename"]


def test_normalize_two_spellings_same_name() -> None:
    """A composed and a decomposed letter are the same name."""
    assert normalize_filename("e\u0301") == normalize_filename("\u00e9") == "\u00e9"


@pytest.mark.parametrize(("name", "expected"), [("a", "a"), ("a/b", "b"), ("a/b/c d.txt", "c d.txt")])
def test_last_segment_follows_last_slash(name: str, expected: str) -> None:
    """The last segment is the name without its folders."""
    assert last_segment(name) == expected


def test_longest_decomposed_name_passes_first_length_check() -> None:
    """No code point has more than one and a half decomposed code points for each byte of its form C.

    Planes above 2 have no decompositions.
    """
    code_points = [chr(number) for number in range(0x30000) if not 0xD800 <= number < 0xE000]
    ratios = [len(unicodedata.normalize("NFD", c)) / len(unicodedata.normalize("NFC", c).encode()) for c in code_points]
    assert max(ratios) == 1.5


NAMES = st.text(max_size=300) | st.lists(
    st.text(max_size=12) | st.sampled_from(["", ".", "..", "a"]), max_size=300
).map("/".join)


@given(NAMES)
@example("/".join(["x" * 255] * 3 + ["y" * 232]))
def test_normalize_accepts_exactly_the_grammar(name: str) -> None:
    """A text is accepted if its form C obeys every rule of the grammar, and is returned in that form."""
    try:
        accepted: str | None = normalize_filename(name)
    except InvalidFilename:
        accepted = None
    composed = unicodedata.normalize("NFC", name)
    assert accepted == (composed if obeys_grammar(composed) else None)
    if accepted is not None:
        assert normalize_filename(accepted) == accepted


def obeys_grammar(name: str) -> bool:
    """Whether a name in form C is a path of valid segments."""
    if any(unicodedata.category(c) in ("Cc", "Cs") or c in "\\\ufffd" for c in name):
        return False
    segments = name.split("/")
    return len(name.encode()) <= 1000 and all(
        segment == segment.strip() and segment not in (".", "..") and 1 <= len(segment.encode()) <= 255
        for segment in segments
    )
