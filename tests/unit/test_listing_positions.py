"""Positions and cursors of listings."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferry.errors import InvalidField
from ferry.rules.listing import after_folder, after_name, decode_cursor, encode_cursor, folder_of

LISTING = ("files", "ns", "a/", "/")
texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)


@pytest.mark.parametrize(
    ("name", "prefix", "folder"),
    [
        ("a", "", None),
        ("a/b", "", "a/"),
        ("a/b", "a", "a/"),
        ("a/b", "a/", None),
        ("a/b/c/d", "a/", "a/b/"),
        ("ab/c", "a", "ab/"),
        ("🚢/⛴️", "🚢", "🚢/"),
    ],
)
def test_folder_of_ends_at_next_slash(name: str, prefix: str, folder: str | None) -> None:
    """The folder of a name ends with the first slash after the prefix."""
    assert folder_of(name, prefix) == folder


@given(name=texts, rest=texts, other=texts)
def test_after_name_is_between_name_and_continuations(name: str, rest: str, other: str) -> None:
    """The position behind a name is in front of every other name that is behind it."""
    position = after_name(name).encode()
    assert name.encode() < position
    assert not rest or position < f"{name}{rest}".encode()
    assert (other.encode() > name.encode()) == (other.encode() >= position)


@given(folder=texts, rest=texts, other=texts)
def test_after_folder_is_behind_its_names_alone(folder: str, rest: str, other: str) -> None:
    """The position behind a folder is behind all of its names, and behind no other name that follows them."""
    folder += "/"
    position = after_folder(folder).encode()
    assert f"{folder}{rest}".encode() < position
    assert other.startswith(folder) or (other.encode() > folder.encode()) == (other.encode() >= position)


@given(position=texts)
def test_cursor_round_trip_returns_position(position: str) -> None:
    """A cursor gives the position back to its own listing."""
    assert decode_cursor(encode_cursor(LISTING, "a/" + position), LISTING, "a/") == "a/" + position


def test_no_cursor_begins_at_prefix() -> None:
    """Without a cursor a listing begins at its prefix."""
    assert decode_cursor(None, LISTING, "a/") == "a/"


def test_cursor_of_longest_name_is_short() -> None:
    """A cursor of a name of 1,000 bytes fits into a request line, quotes included, and is decoded."""
    cursor = encode_cursor(LISTING, "a/" + after_name('"' * 998))
    assert len(cursor) < 1_400
    assert decode_cursor(cursor, LISTING, "a/") == "a/" + '"' * 998 + "\0"


@pytest.mark.parametrize(
    "listing",
    [
        ("files", "ns2", "a/", "/"),
        ("files", "ns", "a", "/"),
        ("files", "ns", "a/", ""),
        ("deleted", "ns", "a/", "/"),
        ("files", "nsa/", "", "/"),
    ],
    ids=range(5),
)
def test_cursor_of_other_listing_raises(listing: tuple[str, ...]) -> None:
    """A cursor of another namespace, prefix, delimiter or kind of listing is rejected."""
    with pytest.raises(InvalidField) as rejected:
        decode_cursor(encode_cursor(listing, "a/b"), LISTING, "a/")
    assert rejected.value.extra["errors"][0]["loc"] == ["cursor"]


def forge(payload: bytes) -> str:
    """Return a cursor of the listing with any position, as a client could invent it."""
    digest = base64.urlsafe_b64decode(encode_cursor(LISTING, "")[:12])
    return base64.urlsafe_b64encode(digest + payload).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "no base64!",
        "é",
        "AAAA",
        forge(b""),
        forge(b"b/"),
        forge(b"a/\xff"),
        forge(b"a/\xed\xa0\x80"),
        forge(b"a/" + b"x" * 1_000),
        encode_cursor(LISTING, "a/b") + "=",
        encode_cursor(LISTING, "a/b") + "A",
        "W" * 3_000,
    ],
    ids=range(13),
)
def test_cursor_malformed_raises(cursor: str) -> None:
    """A cursor that no listing returned is rejected as the client's error."""
    with pytest.raises(InvalidField):
        decode_cursor(cursor, LISTING, "a/")
