"""gzip, where a request asks for it."""

from __future__ import annotations

from collections.abc import Mapping

from ferry.http.request import Request
from ferry.http.response import Response

_GZIP_LEVEL = 6


def compressed_response(request: Request, headers: Mapping[str, str], content: bytes) -> Response:
    """Return a 200 with the content, in gzip where `Accept-Encoding` allows it (RFC 9110 section 12.5.3)."""
    all_headers = {**headers, "Vary": "Accept-Encoding"}
    if _accepts_gzip(request.headers.get("accept-encoding", "")):
        # Imported where it is used: a cold start does without.
        import gzip

        all_headers["Content-Encoding"] = "gzip"
        return Response(200, all_headers, gzip.compress(content, _GZIP_LEVEL, mtime=0))
    return Response(200, all_headers, content)


def _accepts_gzip(accept_encoding: str) -> bool:
    """Return whether the header allows gzip."""
    for item in accept_encoding.lower().split(","):
        coding, _, parameter = item.partition(";")
        if coding.strip() in ("gzip", "*"):
            return parameter.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
