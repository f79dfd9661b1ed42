"""Parsing of checksums: JSON members, and the Content-Digest header (RFC 9530)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping

from ferry.errors import ChecksumUnsupported, InvalidField
from ferry.rules.digests import Digest, crc32c_from_base64

JSON_ALGORITHMS = ("crc32", "crc32c", "md5", "sha256")
"""Algorithms of a chunk's `checksum` member."""

HEADER_ALGORITHMS: Mapping[str, str] = {"sha-256": "sha256", "sha-512": "sha512", "md5": "md5"}
"""Algorithms of a Content-Digest header, by their names in it."""

# A member of a dictionary (RFC 8941 section 3.2): a byte sequence (section 3.3.5) with optional parameters.
_MEMBER = re.compile(
    r"(?P<key>[a-z*][a-z0-9_.*-]*)=:(?P<value>[A-Za-z0-9+/=]*):"
    r"(?:;[ ]*[a-z*][a-z0-9_.*-]*(?:=[^,;\"]*|=\"[^\"\\]*\")?)*"
)
_MAX_SHOWN_LENGTH = 32
_SEPARATOR = re.compile(r"[ \t]*,[ \t]*")


def parse_chunk_digest(algorithm: str, value: str) -> Digest:
    """Return the digest of a chunk's bytes.

    Raises:
        ChecksumUnsupported: the algorithm is not one of `JSON_ALGORITHMS`.
        InvalidField: the value is not base64.
    """
    if algorithm not in JSON_ALGORITHMS:
        raise ChecksumUnsupported(
            f"A chunk's checksum algorithm cannot be {_shown(algorithm)}. Send one of {', '.join(JSON_ALGORITHMS)}."
        )
    invalid = InvalidField(
        [{"loc": ["checksum", "value"], "msg": "must be base64 of the raw value"}],
        "checksum.value is not base64. Send the base64 of the raw value, padded.",
    )
    return Digest(algorithm, _decode_base64(value, invalid))


def parse_crc32c(algorithm: str, value: str) -> int:
    """Return the CRC32C of a part or a whole file, which S3 enforces.

    Raises:
        ChecksumUnsupported: the algorithm is another one.
        InvalidField: the value is not the base64 of four bytes.
    """
    if algorithm != "crc32c":
        raise ChecksumUnsupported(
            f"The checksum algorithm of a part or a whole file cannot be {_shown(algorithm)}. Send crc32c."
        )
    try:
        return crc32c_from_base64(value)
    except ValueError as error:
        raise InvalidField(
            [{"loc": ["checksum", "value"], "msg": "must be base64 of four bytes"}],
            "checksum.value is not a CRC32C. Send the base64 of its four bytes, big-endian.",
        ) from error


def parse_content_digest(header: str | None) -> tuple[Digest, ...]:
    """Return the supported digests of a Content-Digest header; none for None.

    Other algorithms are ignored beside a supported one (RFC 9530 section 2).

    Raises:
        ChecksumUnsupported: the header has no supported algorithm.
        InvalidField: the header is malformed. It is not ignored, as a malformed structured field would be, because the
            client expects its bytes to be verified.
    """
    if header is None:
        return ()
    members = _parse_members(header.strip(" \t"))
    known = tuple(Digest(HEADER_ALGORITHMS[key], value) for key, value in members.items() if key in HEADER_ALGORITHMS)
    if not known:
        raise ChecksumUnsupported(
            f"Content-Digest has no supported algorithm. Send one of {', '.join(HEADER_ALGORITHMS)}."
        )
    return known


def _parse_members(text: str) -> dict[str, bytes]:
    malformed = InvalidField.for_member("content-digest", "must have the form sha-256=:<base64>:")
    members: dict[str, bytes] = {}
    position = 0
    while True:
        member = _MEMBER.match(text, position)
        if member is None:
            raise malformed
        members[member["key"]] = _decode_base64(member["value"], malformed)
        position = member.end()
        if position == len(text):
            return members
        separator = _SEPARATOR.match(text, position)
        if separator is None:
            raise malformed
        position = separator.end()


def _decode_base64(value: str, error: InvalidField) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as cause:
        raise error from cause


def _shown(algorithm: str) -> str:
    """Return a client's text, cut short, for an error message."""
    return repr(algorithm[:_MAX_SHOWN_LENGTH])
