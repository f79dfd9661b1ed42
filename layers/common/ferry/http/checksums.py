"""Parsing of checksums: JSON members, and the headers that carry a digest of the content.

The headers are `Content-Digest` (RFC 9530), `Content-MD5` (RFC 1864), `Digest` (RFC 3230) and S3's `x-amz-checksum-*`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ferry.errors import ChecksumUnsupported, InvalidField
from ferry.rules.canonical_base64 import decode_canonical
from ferry.rules.digests import Digest, crc32c_from_base64

JSON_ALGORITHMS = ("crc32", "crc32c", "md5", "sha256")
"""Algorithms of a chunk's `checksum` member."""

HEADER_ALGORITHMS: Mapping[str, str] = {
    "sha-256": "sha256",
    "sha-512": "sha512",
    "md5": "md5",
    "crc32c": "crc32c",
}
"""Algorithms of a Content-Digest or a Digest header, by their names in it."""

_AMZ_PREFIX = "x-amz-checksum-"
_AMZ_ALGORITHMS = ("crc32", "crc32c", "sha256")

# A member of a dictionary (RFC 8941 section 3.2): a byte sequence (section 3.3.5) with optional parameters.
_MEMBER = re.compile(
    r"(?P<key>[a-z*][a-z0-9_.*-]*)=:(?P<value>[A-Za-z0-9+/=]*):"
    r"(?:;[ ]*[a-z*][a-z0-9_.*-]*(?:=[^,;\"]*|=\"[^\"\\]*\")?)*"
)
_MAX_SHOWN_LENGTH = 32
"""Characters of a client's text that an error message quotes."""
_SEPARATOR = re.compile(r"[ \t]*,[ \t]*")


def parse_chunk_digest(algorithm: str, value: str) -> Digest:
    """Return the digest of a chunk's bytes.

    Raises:
        ChecksumUnsupported: the algorithm is not one of `JSON_ALGORITHMS`.
        InvalidField: the value is not canonical base64.
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


def parse_digest_headers(headers: Mapping[str, str]) -> tuple[Digest, ...]:
    """Return the digests of all headers that carry one; none is ignored, because the client expects verification.

    Args:
        headers: by name in lower case.

    Raises:
        ChecksumUnsupported: a header has no supported algorithm.
        InvalidField: a header is malformed.
    """
    digests = parse_content_digest(headers.get("content-digest"))
    if "content-md5" in headers:
        digests += (Digest("md5", _parse_header_base64("content-md5", headers["content-md5"])),)
    if "digest" in headers:
        digests += _parse_digest(headers["digest"])
    for name in headers:
        if name.startswith(_AMZ_PREFIX):
            digests += (_parse_amz_checksum(name, headers[name]),)
    return digests


def _parse_digest(header: str) -> tuple[Digest, ...]:
    """Return the supported digests of a Digest header: `SHA-256=<base64>,MD5=<base64>` (RFC 3230 section 4.3.2)."""
    digests: tuple[Digest, ...] = ()
    for member in header.split(","):
        name, equals, value = member.strip(" \t").partition("=")
        if not name or not equals:
            raise InvalidField.for_member("digest", "must have the form sha-256=<base64>")
        if name.lower() in HEADER_ALGORITHMS:
            digests += (Digest(HEADER_ALGORITHMS[name.lower()], _parse_header_base64("digest", value)),)
    if not digests:
        raise ChecksumUnsupported(f"Digest has no supported algorithm. Send one of {', '.join(HEADER_ALGORITHMS)}.")
    return digests


def _parse_amz_checksum(name: str, value: str) -> Digest:
    algorithm = name.removeprefix(_AMZ_PREFIX)
    if algorithm not in _AMZ_ALGORITHMS:
        supported = ", ".join(_AMZ_PREFIX + known for known in _AMZ_ALGORITHMS)
        raise ChecksumUnsupported(f"{name[:_MAX_SHOWN_LENGTH]} is not supported. Send one of {supported}.")
    return Digest(algorithm, _parse_header_base64(name, value))


def _parse_header_base64(name: str, value: str) -> bytes:
    return _decode_base64(value.strip(" \t"), InvalidField.for_member(name, "must be canonical base64"))


def parse_repr_digest(headers: Mapping[str, str]) -> tuple[Digest, ...]:
    """Return the digests of a Repr-Digest header (RFC 9530) of a body that is the whole file, without content coding.

    Raises what `parse_content_digest` raises.
    """
    return parse_content_digest(headers.get("repr-digest"), "repr-digest")


def parse_content_digest(header: str | None, name: str = "content-digest") -> tuple[Digest, ...]:
    """Return the supported digests of a Content-Digest header, or of another one of its form; none for None.

    Other algorithms are ignored beside a supported one (RFC 9530 section 2).

    Raises:
        ChecksumUnsupported: the header has no supported algorithm.
        InvalidField: the header is malformed. It is not ignored, as a malformed structured field would be, because the
            client expects its bytes to be verified.
    """
    if header is None:
        return ()
    known = parse_known_digests(header, name)
    if not known:
        raise ChecksumUnsupported(
            f"{name.title()} has no supported algorithm. Send one of {', '.join(HEADER_ALGORITHMS)}."
        )
    return known


def parse_known_digests(header: str, name: str) -> tuple[Digest, ...]:
    """Return the supported digests of a header of this name; none if all are of other algorithms.

    Raises:
        InvalidField: the header is malformed.
    """
    members = _parse_members(name, header.strip(" \t"))
    return tuple(Digest(HEADER_ALGORITHMS[key], value) for key, value in members.items() if key in HEADER_ALGORITHMS)


def _parse_members(name: str, text: str) -> dict[str, bytes]:
    malformed = InvalidField.for_member(name, "must have the form sha-256=:<base64>:")
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
        return decode_canonical(value)
    except ValueError as cause:
        raise error from cause


def _shown(algorithm: str) -> str:
    """Return a client's text, cut short, for an error message."""
    return repr(algorithm[:_MAX_SHOWN_LENGTH])
