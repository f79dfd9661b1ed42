"""The names that `if_exists: rename` tries."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ferry.errors import InvalidFilename
from ferry.rules.filenames import normalize_filename
from ferry.rules.free_names import name_with_mark, numbered_names

EXAMPLES = [
    ("a", "a (2)"),
    ("photo.jpg", "photo (2).jpg"),
    ("backup.tar.gz", "backup.tar (2).gz"),
    (".bashrc", ".bashrc (2)"),
    (".config.yml", ".config (2).yml"),
    ("a.", "a (2)."),
    ("a.b/c", "a.b/c (2)"),
    ("a.b/c.d", "a.b/c (2).d"),
    ("a.b/.c", "a.b/.c (2)"),
    ("...", ".. (2)."),
    ("photo (2).jpg", "photo (2) (2).jpg"),
    ("שלום.txt", "שלום (2).txt"),
    ("🚢", "🚢 (2)"),
]


@pytest.mark.parametrize(("name", "expected"), EXAMPLES)
def test_numbered_names_first_is_two(name: str, expected: str) -> None:
    """The number stands before what follows the last dot of the last segment, unless the dot begins it."""
    assert numbered_names(name)[0] == expected


def test_numbered_names_end_at_twenty() -> None:
    """Nineteen names are tried, in the order of their numbers."""
    names = numbered_names("a.txt")
    assert (len(names), names[-1]) == (19, "a (20).txt")
    assert names == sorted(names, key=lambda name: int(name[3:-5]))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x" * 255, "x" * 251 + " (2)"),
        ("é" * 127 + "x", "é" * 125 + " (2)"),
        ("🚢" * 63, "🚢" * 62 + " (2)"),
        ("x" * 251 + ".txt", "x" * 247 + " (2).txt"),
        ("aaaaaa." + "y" * 247, "aaa (2)." + "y" * 247),
        ("/".join(["x" * 255] * 3 + ["y" * 232]), "/".join(["x" * 255] * 3 + ["y" * 228 + " (2)"])),
    ],
)
def test_numbered_name_of_longest_names_cuts_stem(name: str, expected: str) -> None:
    """The stem is cut at a whole character where the segment or the name would be too long."""
    assert numbered_names(name)[0] == expected
    assert normalize_filename(expected) == expected


@pytest.mark.parametrize(
    "name", ["a." + "x" * 253, "🚢." + "x" * 249, "/".join(["x" * 255] * 3 + ["x" * 227, "a.bc"])], ids=range(3)
)
def test_numbered_names_without_room_raise(name: str) -> None:
    """A stem is never cut to nothing: the name is then rejected."""
    assert normalize_filename(name) == name
    with pytest.raises(InvalidFilename):
        numbered_names(name)


@given(st.text(min_size=1, max_size=300), st.sampled_from(["2", "20", "0123abcd"]))
def test_name_with_mark_is_valid_and_keeps_folder_and_extension(name: str, mark: str) -> None:
    """A name made of a valid one is valid, in form C, in the same folder, and has the same extension."""
    try:
        name = normalize_filename(name)
        renamed = name_with_mark(name, mark)
    except InvalidFilename:
        assume(False)
    assert normalize_filename(renamed) == renamed
    assert renamed != name
    assert renamed.rpartition("/")[0] == name.rpartition("/")[0]
    assert f"({mark})" in renamed.rpartition("/")[2]
