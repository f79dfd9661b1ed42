"""Checksums as clients write them: JSON members, and the Content-Digest header (RFC 9530)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping

from ferry.errors import ChecksumUnsupported, InvalidField
from ferry.rules.digests import Digest, crc32c_from_base64

JSON_ALGORITHMS = ("crc32", "crc32c", "md5", "sha256")
HEADER_ALGORITHMS: Mapping[str, str] = {"sha-256": "sha256", "sha-512": "sha512", "md5": "md5"}

# A dictionary of RFC 8941 section 3.2, whose members are byte sequences (section 3.3.5), perhaps with parameters.
_MEMBER = re.compile(
    r"(?P<key>[a-z*][a-z0-9_.*-]*)=:(?P<value>[A-Za-z0-9+/=]*):"
    r"(?:;[ ]*[a-z*][a-z0-9_.*-]*(?:=[^,;\"]*|=\"[^\"\\]*\")?)*"
)
_SEPARATOR = re.compile(r"[ \t]*,[ \t]*")


def parse_chunk_digest(algorithm: str, value: str) -> Digest:
    """The digest of a chunk's bytes. Raises `ChecksumUnsupported`; `InvalidField` when the value is not base64."""
    if algorithm not in JSON_ALGORITHMS:
        raise ChecksumUnsupported(f"use one of {', '.join(JSON_ALGORITHMS)}")
    return Digest(
        algorithm, _decode_base64(value, InvalidField([{"loc": ["checksum", "value"], "msg": "must be base64"}]))
    )


def parse_crc32c(algorithm: str, value: str) -> int:
    """The CRC32C of a part or a whole file, which S3 enforces. Raises `ChecksumUnsupported`, `InvalidField`."""
    if algorithm != "crc32c":
        raise ChecksumUnsupported("use crc32c here")
    try:
        return crc32c_from_base64(value)
    except ValueError as error:
        raise InvalidField([{"loc": ["checksum", "value"], "msg": "must be the base64 of four bytes"}]) from error


def parse_content_digest(header: str | None) -> tuple[Digest, ...]:
    """Every digest of a Content-Digest header that is known here.

    Unknown algorithms beside a known one are passed over (RFC 9530 section 2).

    Raises:
        ChecksumUnsupported: it has none that is known.
        InvalidField: it is malformed. Passing over it, as over malformed structured fields, would leave unchecked what
            was to be checked.
    """
    if header is None:
        return ()
    members = _parse_members(header.strip(" \t"))
    known = tuple(Digest(HEADER_ALGORITHMS[key], value) for key, value in members.items() if key in HEADER_ALGORITHMS)
    if not known:
        raise ChecksumUnsupported(f"use one of {', '.join(HEADER_ALGORITHMS)} in Content-Digest")
    return known


def _parse_members(text: str) -> dict[str, bytes]:
    malformed = InvalidField.for_member("content-digest", "must look like sha-256=:<base64>:")
    members: dict[str, bytes] = {}
    at = 0
    while True:
        member = _MEMBER.match(text, at)
        if member is None:
            raise malformed
        members[member["key"]] = _decode_base64(member["value"], malformed)
        at = member.end()
        if at == len(text):
            return members
        following = _SEPARATOR.match(text, at)
        if following is None:
            raise malformed
        at = following.end()


def _decode_base64(value: str, error: InvalidField) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as cause:
        raise error from cause
