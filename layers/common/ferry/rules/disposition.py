"""The Content-Disposition header: save under this name, never show (RFC 6266). Pure."""

from __future__ import annotations

from urllib.parse import quote

# attr-char of RFC 8187 section 3.2.1 beyond letters and digits: what an extended value may hold as it is.
_ATTRIBUTE_CHARACTERS = "!#$&+-.^_`|~"
# RFC 6266 appendix D: some clients take backslashes in quoted strings literally, and decode percent signs.
_UNSAFE_IN_FALLBACK = '"\\%'


def attachment(name: str) -> str:
    """`attachment` with the name twice: in ASCII for old clients (section 4.3), and exactly, in UTF-8 (RFC 8187).

    The ASCII one has `_` for whatever is not ASCII or is often misread, so it needs no escapes and nothing can end it
    early.
    """
    fallback = "".join(c if " " <= c <= "~" and c not in _UNSAFE_IN_FALLBACK else "_" for c in name)
    return f"attachment; filename=\"{fallback}\"; filename*=UTF-8''{quote(name, safe=_ATTRIBUTE_CHARACTERS)}"
