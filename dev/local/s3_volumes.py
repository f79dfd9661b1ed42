"""Check SeaweedFS's volumes before it starts: it serves what it can read of a damaged one, and says nothing.

A volume is a data file (`.dat`: a super block, then one needle after another), an index of the needles (`.idx`) and
settings (`.vif`). A needle is a header (cookie, id, size), the content and a checksum. The index follows from the data,
so a damaged index is built again. The formats are those of SeaweedFS's version 3 with offsets of five bytes.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import google_crc32c

from dev.local.errors import LocalError

VOLUMES_FILE = "volumes.json"
"""The file with the names of the volumes, so that one that is gone is noticed. Its second line is a SHA-256."""
_VERSION = 3
_SUPER_BLOCK_BYTES = 8
_NEEDLE_HEADER = struct.Struct(">IQI")
_INDEX_ENTRY = struct.Struct(">QIBi")
_CHECKSUM_BYTES, _TIMESTAMP_BYTES, _ALIGNMENT = 4, 8, 8
_FIX_TIMEOUT_SECONDS = 600


class DamagedVolumeError(Exception):
    """A volume has lost content. The message names the file and what is wrong."""


@dataclass(frozen=True, slots=True)
class _Needle:
    """A record of a data file."""

    needle_id: int
    """SeaweedFS's id of the object."""
    offset: int
    """Byte of the data file at which the record begins."""
    size: int
    """Bytes of its content."""


def check_volumes(folder: Path, weed: Path) -> list[str]:
    """Check every volume of a folder, and return what was repaired, in sentences.

    Args:
        folder: SeaweedFS's folder.
        weed: SeaweedFS's program, which builds an index.

    Raises:
        DamagedVolumeError: content is lost.
        LocalError: an index cannot be built.
    """
    notes: list[str] = []
    names = {path.stem for suffix in ("dat", "idx") for path in folder.glob(f"*.{suffix}")}
    recorded_names = _read_recorded_names(folder, notes)
    for name in sorted(names | recorded_names):
        data, index = folder / f"{name}.dat", folder / f"{name}.idx"
        if name not in recorded_names and _is_unfinished(data, index):
            _delete_volume(folder, name)
            notes.append(f"{data} was being created when the service stopped; it was deleted, and nothing is lost")
            continue
        if not data.is_file():
            raise DamagedVolumeError(f"{data} is gone")
        needles, clean_end = _read_data(data)
        problem = _find_index_problem(index, needles, clean_end, data)
        if problem:
            _build_index(weed, folder, name)
            notes.append(f"{index} {problem}; it was built again from {data.name}, and nothing is lost")
    record_volumes(folder)
    return notes


def record_volumes(folder: Path) -> None:
    """Write down which volumes there are, if that has changed. Raises `OSError`.

    A volume counts from its super block on: without one it may still be in creation.
    """
    names = sorted(path.stem for path in folder.glob("*.dat") if path.stat().st_size >= _SUPER_BLOCK_BYTES)
    path = folder / VOLUMES_FILE
    content = _with_checksum(json.dumps(names))
    if not path.is_file() or path.read_text(encoding="utf-8", errors="replace") != content:
        temporary = path.with_suffix(".tmp")
        temporary.write_text(content, encoding="utf-8")
        temporary.replace(path)


def _read_recorded_names(folder: Path, notes: list[str]) -> set[str]:
    path = folder / VOLUMES_FILE
    try:
        content = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        if any(folder.glob("*.dat")):
            notes.append(f"{path} was gone; it was written again, and nothing is lost")
        return set()
    names = content.partition("\n")[0]
    if content != _with_checksum(names):
        notes.append(f"{path} was damaged; it was written again, and nothing is lost")
        return set()
    return set(json.loads(names))


def _is_unfinished(data: Path, index: Path) -> bool:
    """Return whether a volume's creation was interrupted: it has no super block, and its index has no entry.

    SeaweedFS stores an object only after the super block, and acknowledges it only after the index entry. A full disk
    or a kill can come between the creation of the data file and its super block.
    """
    if not data.is_file() or data.stat().st_size >= _SUPER_BLOCK_BYTES:
        return False
    return not index.is_file() or index.stat().st_size == 0


def _delete_volume(folder: Path, name: str) -> None:
    for suffix in ("idx", "vif", "dat"):
        (folder / f"{name}.{suffix}").unlink(missing_ok=True)


def _with_checksum(line: str) -> str:
    return f"{line}\n{hashlib.sha256(line.encode()).hexdigest()}\n"


def _read_data(path: Path) -> tuple[list[_Needle], int]:
    """Return the correct needles at the start of a data file, and where the last of them ends."""
    if path.stat().st_size < _SUPER_BLOCK_BYTES:
        raise DamagedVolumeError(f"{path} is truncated: it has no super block")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        version, replication, ttl, _, extra_bytes = struct.unpack_from(">BBHHH", content)
        if (version, replication, ttl, extra_bytes) != (_VERSION, 0, 0, 0):
            raise DamagedVolumeError(f"{path} is damaged: its super block is not one")
        needles = list(_read_needles(content))
    return needles, _end_of(needles[-1]) if needles else _SUPER_BLOCK_BYTES


def _read_needles(content: mmap.mmap) -> Iterator[_Needle]:
    offset = _SUPER_BLOCK_BYTES
    while offset + _NEEDLE_HEADER.size <= len(content):
        _, needle_id, size = _NEEDLE_HEADER.unpack_from(content, offset)
        needle = _Needle(needle_id, offset, size)
        if not needle_id or _end_of(needle) > len(content) or not _is_correct(content, needle):
            return
        yield needle
        offset = _end_of(needle)


def _end_of(needle: _Needle) -> int:
    end = needle.offset + _NEEDLE_HEADER.size + needle.size + _CHECKSUM_BYTES + _TIMESTAMP_BYTES
    return end + _ALIGNMENT - end % _ALIGNMENT


def _is_correct(content: mmap.mmap, needle: _Needle) -> bool:
    if needle.size == 0:
        return True  # a deletion
    start = needle.offset + _NEEDLE_HEADER.size
    (data_bytes,) = struct.unpack_from(">I", content, start)
    if data_bytes + 5 > needle.size:
        return False
    (stored,) = struct.unpack_from(">I", content, start + needle.size)
    crc: int = google_crc32c.value(content[start + 4 : start + 4 + data_bytes])
    # Older releases store the checksum rotated.
    rotated = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return stored in (crc, rotated)


def _find_index_problem(index: Path, needles: list[_Needle], clean_end: int, data: Path) -> str:
    """Return what is wrong with an index, or an empty string. Raises `DamagedVolumeError` when the data is damaged."""
    ends_clean = data.stat().st_size == clean_end
    if not index.is_file():
        if not ends_clean:
            raise DamagedVolumeError(f"{data} is damaged at byte {clean_end}, and {index.name} is gone")
        return "was gone"
    entries, is_whole = _read_index(index)
    by_offset = {needle.offset: needle for needle in needles}
    correct = {
        offset
        for offset, (needle_id, size) in entries.items()
        if offset in by_offset and (by_offset[offset].needle_id, by_offset[offset].size) == (needle_id, size)
    }
    has_every_needle = all(needle.offset in correct for needle in needles if needle.size)
    behind = [offset for offset in entries if offset >= clean_end]
    if behind and has_every_needle and (needles or _SUPER_BLOCK_BYTES in behind):
        # The index is right about everything before this byte, so the data is what is wrong.
        raise DamagedVolumeError(f"{data} is {'truncated' if ends_clean else 'damaged'} at byte {clean_end}")
    if behind or not is_whole or len(correct) != len(entries):
        return "was damaged"
    return "" if has_every_needle else "lacked entries"


def _read_index(path: Path) -> tuple[dict[int, tuple[int, int]], bool]:
    """Return id and size of the needles by offset, without deletions, and whether the last entry is whole."""
    content = path.read_bytes()
    whole_bytes = len(content) // _INDEX_ENTRY.size * _INDEX_ENTRY.size
    entries = {
        (low | high << 32) * _ALIGNMENT: (needle_id, size)
        for needle_id, low, high, size in _INDEX_ENTRY.iter_unpack(content[:whole_bytes])
        if size > 0
    }
    return entries, whole_bytes == len(content)


def _build_index(weed: Path, folder: Path, name: str) -> None:
    collection, _, number = name.rpartition("_")
    (folder / f"{name}.idx").unlink(missing_ok=True)
    command = [str(weed), "fix", f"-volumeId={number}", f"-collection={collection}", str(folder)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=_FIX_TIMEOUT_SECONDS, check=False)
    if built.returncode or not (folder / f"{name}.idx").is_file():
        raise LocalError(f"the index of {folder / name}.dat could not be built: {built.stderr[-300:].strip()}")
