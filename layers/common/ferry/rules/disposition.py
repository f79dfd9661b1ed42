"""The Content-Disposition header of downloads (RFC 6266)."""

from __future__ import annotations

from urllib.parse import quote

from ferry.rules.filenames import last_segment

_ATTRIBUTE_CHARACTERS = "!#$&+-.^_`|~"
"""`attr-char` of RFC 8187 section 3.2.1 besides letters and digits: not encoded in an extended value."""

_UNSAFE_IN_FALLBACK = '"\\%'
"""Some clients do not unescape backslashes, and some decode percent signs (RFC 6266 appendix D)."""


_SHOWN_TYPES = frozenset(
    {
        *(f"image/{kind}" for kind in ("png", "jpeg", "gif", "webp", "avif", "bmp")),
        "application/pdf",
    }
)
_SHOWN_PREFIXES = ("audio/", "video/")
_TEXT = "text/plain"


def shown_type(content_type: str) -> str | None:
    """Return the type with which a browser may show a file; None for types that it must only save.

    All files share the origin of the bucket, so no type may run anything there: no HTML, XML, SVG or script. Text is
    UTF-8, so that no browser guesses an encoding.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == _TEXT:
        return f"{_TEXT}; charset=utf-8"
    return content_type if kind in _SHOWN_TYPES or kind.startswith(_SHOWN_PREFIXES) else None


def inline(name: str) -> str:
    """Return a value that lets browsers show the response, and save it as `attachment` does."""
    return f"inline{attachment(name).removeprefix('attachment')}"


def attachment(name: str) -> str:
    """Return a value that makes browsers save the response under the last segment of `name` and never display it.

    Clients ignore all but the last segment of a path (RFC 6266 section 4.3). The value has that segment twice: as
    `filename` for old clients, with `_` for every character that is not ASCII or that clients misread, and exactly as
    `filename*` (RFC 6266 section 4.3, RFC 8187).
    """
    name = last_segment(name)
    fallback = "".join(c if " " <= c <= "~" and c not in _UNSAFE_IN_FALLBACK else "_" for c in name)
    return f"attachment; filename=\"{fallback}\"; filename*=UTF-8''{quote(name, safe=_ATTRIBUTE_CHARACTERS)}"
