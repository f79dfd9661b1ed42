"""Which local files are sent under which names, and where received ones may be written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ferry_client.errors import LocalFileError, UsageError
from ferry_client.folder_walk import WalkRules, walk
from ferry_client.local_files import (
    LocalFile,
    LocalTargets,
    preserved_metadata,
    restore_preserved,
    restore_symlink,
)


def tree(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def test_walk_names_files_by_their_path_below_the_folder(tmp_path: Path) -> None:
    """Files get the prefix and their path with `/`, ordered."""
    tree(tmp_path, "b.txt", "a/c.txt")
    assert [file.name for file in walk(tmp_path, "p/")] == ["p/b.txt", "p/a/c.txt"]


@pytest.mark.parametrize(
    ("include", "exclude", "names"),
    [
        (["*.jpg"], ["b/*"], ["a/1.jpg", "a/c/4.jpg"]),
        ([], ["a"], ["b/3.jpg"]),
        ([], ["a/"], ["b/3.jpg"]),
        ([], ["3.jpg/"], ["a/1.jpg", "a/2.txt", "b/3.jpg", "a/c/4.jpg"]),
        ([], ["c"], ["a/1.jpg", "a/2.txt", "b/3.jpg"]),
        ([], ["a/c"], ["a/1.jpg", "a/2.txt", "b/3.jpg"]),
        (["c"], [], ["a/c/4.jpg"]),
        (["a"], ["*.txt"], ["a/1.jpg", "a/c/4.jpg"]),
        (["?/1.jpg"], [], ["a/1.jpg"]),
    ],
)
def test_walk_with_patterns_chooses_by_path_name_or_folder(
    tmp_path: Path, include: list[str], exclude: list[str], names: list[str]
) -> None:
    """A pattern matches a file's path, its name, or a folder that it is in; `folder/` matches folders alone."""
    tree(tmp_path, "a/1.jpg", "a/2.txt", "b/3.jpg", "a/c/4.jpg")
    assert sorted(file.name for file in walk(tmp_path, "", WalkRules(include, exclude))) == sorted(names)


@pytest.mark.parametrize(("symlinks", "names"), [("skip", ["f"]), ("follow", ["f", "l"]), ("keep", ["f", "l"])])
def test_walk_treats_links_as_asked(tmp_path: Path, symlinks: str, names: list[str]) -> None:
    """Symbolic links are left out, followed, or sent themselves."""
    tree(tmp_path, "f")
    (tmp_path / "l").symlink_to("f")
    files = list(walk(tmp_path, "", WalkRules(symlinks=symlinks)))
    assert [file.name for file in files] == names
    assert (files[-1].symlink_target == "f") == (symlinks == "keep")


def test_walk_composes_names(tmp_path: Path) -> None:
    """A name in decomposed form, as some disks keep it, becomes form C."""
    tree(tmp_path, "cafe\u0301")
    assert [file.name for file in walk(tmp_path, "")] == ["caf\u00e9"]


@pytest.mark.parametrize("relative", ["../x", "a/../../x", "", "a//b", "a/./b", "/etc/passwd", "x\0y", "é" * 128])
def test_target_of_a_name_that_the_disk_cannot_hold_is_rejected(tmp_path: Path, relative: str) -> None:
    """No name leads outside the folder, or to no file."""
    with pytest.raises(UsageError):
        LocalTargets(tmp_path).path_for(relative)


@pytest.mark.parametrize(
    ("first", "second"), [("a", "a/b"), ("a/b", "a"), ("A", "a"), ("caf\u00e9", "cafe\u0301"), ("ß/x", "SS/X")]
)
def test_target_that_collides_with_another_is_rejected(tmp_path: Path, first: str, second: str) -> None:
    """Two names that a disk may not hold beside each other: the second is rejected, nothing is overwritten."""
    targets = LocalTargets(tmp_path)
    assert targets.path_for(first) == tmp_path.joinpath(*first.split("/"))
    with pytest.raises(UsageError):
        targets.path_for(second)


def test_target_behind_a_link_to_the_outside_is_rejected(tmp_path: Path) -> None:
    """Nothing is written through a symbolic link that leads outside the folder."""
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    folder.mkdir()
    (folder / "a").symlink_to(outside)
    with pytest.raises(UsageError):
        LocalTargets(folder).path_for("a/b")
    (folder / "c").symlink_to("d")
    with pytest.raises(UsageError):
        LocalTargets(folder).path_for("c")


def test_preserved_metadata_is_restored(tmp_path: Path) -> None:
    """Modification time (to the microsecond) and mode survive."""
    first = tree(tmp_path, "f") / "f"
    os.utime(first, ns=(1_700_000_000_123_456_000, 1_700_000_000_123_456_000))
    first.chmod(0o640)
    metadata = preserved_metadata(next(iter(walk(tmp_path, ""))))
    assert metadata == {"mtime": "2023-11-14T22:13:20.123456Z", "mode": "0640"}
    second = tree(tmp_path, "g") / "g"
    restore_preserved(second, metadata)
    assert second.stat().st_mtime_ns == 1_700_000_000_123_456_000
    assert second.stat().st_mode & 0o777 == 0o640


def test_restored_mode_never_has_setuid(tmp_path: Path) -> None:
    """A stored mode cannot make a file run as its owner."""
    path = tree(tmp_path, "f") / "f"
    restore_preserved(path, {"mode": "6755", "mtime": "nonsense"})
    assert path.stat().st_mode & 0o7777 == 0o755


def test_walk_through_a_circle_of_links_ends(tmp_path: Path) -> None:
    """A link to a folder above is followed once at most."""
    tree(tmp_path, "a/f")
    (tmp_path / "a" / "up").symlink_to("..")
    assert [file.name for file in walk(tmp_path, "", WalkRules(symlinks="follow"))] == ["a/f"]


def test_walk_reports_what_it_cannot_read_and_goes_on(tmp_path: Path) -> None:
    """A folder that vanishes meanwhile is reported; the others are found."""
    tree(tmp_path, "a/f", "b/g")
    problems: list[str] = []
    files = walk(tmp_path, "", on_problem=lambda path, text: problems.append(path))
    first = next(files)
    (tmp_path / "b" / "g").unlink()
    (tmp_path / "b").rmdir()
    assert [first.name, *(file.name for file in files)] == ["a/f"]
    assert len(problems) == 1


@pytest.mark.parametrize("seconds", [-99_999_999_999, 999_999_999_999], ids=["past", "future"])
def test_time_that_no_calendar_has_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    """A file of a year beyond 9999 or before 1 is sent without its time."""
    path = tree(tmp_path, "f") / "f"
    status = os.stat_result((0o100640, 1, 1, 1, 0, 0, 1, 0, seconds, 0), {"st_mtime_ns": seconds * 10**9})
    monkeypatch.setattr(Path, "stat", lambda path, **options: status)
    assert preserved_metadata(LocalFile(path, "f", 1)) == {"mode": "0640"}


def test_file_that_vanishes_before_its_metadata_is_read_is_named(tmp_path: Path) -> None:
    """The error is one of the file alone."""
    with pytest.raises(LocalFileError, match="cannot be read"):
        preserved_metadata(LocalFile(tmp_path / "gone", "f", 1))


def test_walk_reports_a_link_to_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    """Such a link cannot be kept."""
    (tmp_path / "l").symlink_to(os.fsdecode(b"\xff"))
    problems: dict[str, str] = {}
    assert not list(walk(tmp_path, "", WalkRules(symlinks="keep"), on_problem=problems.__setitem__))
    assert list(problems) == [str(tmp_path / "l")]


def test_link_in_a_circle_is_not_made(tmp_path: Path) -> None:
    """A stored link whose way goes through a circle of links is an error of this file."""
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(LocalFileError):
        restore_symlink(tmp_path / "l", "loop/f", tmp_path)
