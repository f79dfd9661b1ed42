"""The Content-Disposition header of downloads (RFC 6266)."""

from __future__ import annotations

from urllib.parse import quote

from ferry.rules.filenames import last_segment

_ATTRIBUTE_CHARACTERS = "!#$&+-.^_`|~"
"""`attr-char` of RFC 8187 section 3.2.1 besides letters and digits: not encoded in an extended value."""

_UNSAFE_IN_FALLBACK = '"\\%'
"""Some clients do not unescape backslashes, and some decode percent signs (RFC 6266 appendix D)."""


def attachment(name: str) -> str:
    """Return a value that makes browsers save the response under the last segment of `name` and never display it.

    Clients ignore all but the last segment of a path (RFC 6266 section 4.3). The value has that segment twice: as
    `filename` for old clients, with `_` for every character that is not ASCII or that clients misread, and exactly as
    `filename*` (RFC 6266 section 4.3, RFC 8187).
    """
    name = last_segment(name)
    fallback = "".join(c if " " <= c <= "~" and c not in _UNSAFE_IN_FALLBACK else "_" for c in name)
    return f"attachment; filename=\"{fallback}\"; filename*=UTF-8''{quote(name, safe=_ATTRIBUTE_CHARACTERS)}"
