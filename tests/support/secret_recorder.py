"""Find what no output may contain: tokens, secrets, signatures of presigned URLs, and filenames.

Tokens and signatures are recognized by their form. Secrets and filenames are recorded from the requests of the tests.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, quote, unquote, urlsplit

SECRET_PATTERNS = {
    "a token": re.compile(r"eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}"),
    "a signature": re.compile(r"X-Amz-Signature(?:=|%3D|[\"']?:\s*[\"']?)[0-9a-f]{16,}", re.IGNORECASE),
    "an Authorization header": re.compile(r"\b(?:Bearer [\w-]{20,}|Basic [A-Za-z0-9+/]{16,}={0,2})"),
}
IGNORED_NAMES = ("{filename}", "{filename+}")
"""Filenames of tests that are also part of a route's key, which logs contain."""
MIN_NAME_LENGTH = 8
"""Shorter names and secrets occur in other words."""
MAX_BODY_BYTES = 64 * 1024
"""Larger bodies are chunks, which are not searched."""
_FILENAME_PATH = re.compile(r"^(?:/l/[\w-]{43})?/(?:download/partial|download|status|files|upload)/([^?]+)$")
_LINK_PATH = re.compile(r"^/l/([^/?]{20,})")


@dataclass
class SecretRecorder:
    """Secrets and filenames that the tests have sent."""

    secrets: set[str] = field(default_factory=set)
    """Secrets of clients and links, and passwords of links."""
    names: set[str] = field(default_factory=set)
    """Filenames."""

    def record_request(self, method: str, target: str, headers: Mapping[str, Any], body: object) -> None:
        """Record the secrets and filenames of a request."""
        parts = urlsplit(target)
        found = _FILENAME_PATH.match(parts.path) if method not in ("OPTIONS", "POST") else None
        self._record_names(
            unquote(found[1]) if found else "", *(v for k, v in parse_qsl(parts.query) if k == "filename")
        )
        if link := _LINK_PATH.match(parts.path):
            self.secrets.add(unquote(link[1]))
        for name, value in headers.items():
            if name.lower() == "authorization" and str(value).startswith("Basic "):
                self._record_basic_auth(str(value).removeprefix("Basic "))
        if isinstance(body, bytes) and len(body) < MAX_BODY_BYTES:
            self._record_body(body)

    def _record_body(self, body: bytes) -> None:
        try:
            members = json.loads(body)
        except (ValueError, RecursionError):
            members = dict(parse_qsl(body.decode("latin-1")))
        if isinstance(members, dict):
            self._record_names(members.get("filename"))
            self.secrets |= {
                members[name] for name in ("client_secret", "password") if isinstance(members.get(name), str)
            }

    def _record_basic_auth(self, credentials: str) -> None:
        try:
            secret = unquote(base64.b64decode(credentials).decode().partition(":")[2])
        except (binascii.Error, ValueError):
            return
        self.secrets.add(secret)

    def _record_names(self, *names: object) -> None:
        for name in names:
            if isinstance(name, str) and len(name) >= MIN_NAME_LENGTH and name not in IGNORED_NAMES:
                self.names.add(name)


@contextmanager
def record_http(recorder: SecretRecorder) -> Iterator[None]:
    """Record every HTTP request of this process."""
    send = http.client.HTTPConnection.request

    def request(
        connection: http.client.HTTPConnection,
        method: str,
        url: str,
        body: Any = None,
        headers: Any = None,
        **more: Any,
    ) -> None:
        recorder.record_request(method, url, headers or {}, body)
        send(connection, method, url, body, headers or {}, **more)

    with patch.object(http.client.HTTPConnection, "request", request):
        yield


def find_leaks(text: str, recorder: SecretRecorder, *, allow_names: bool = False) -> Iterator[str]:
    """Yield a description of each secret, token, signature or filename in the text."""
    for kind, pattern in SECRET_PATTERNS.items():
        for found in pattern.finditer(text):
            yield f"{kind}: {_excerpt(text, found.start())}"
    for secret in recorder.secrets:
        # Tests also send invalid secrets as short as "x".
        if len(secret) >= MIN_NAME_LENGTH and secret in text:
            yield f"a secret: {_excerpt(text, text.index(secret))}"
    for name in [] if allow_names else recorder.names:
        for form in {name, json.dumps(name)[1:-1], quote(name), quote(name, safe="")}:
            if form in text:
                yield f"a name, {name!r}: {_excerpt(text, text.index(form))}"


def _excerpt(text: str, position: int) -> str:
    return text[max(0, position - 120) : position + 60].replace("\n", "⏎")


def read_output(state_folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield every log of a local service, with its content: the runner's, the functions' and the emulators'."""
    for path in [state_folder.with_name(f"{state_folder.name}.log"), *sorted((state_folder / "logs").glob("*"))]:
        if path.is_file():
            yield path, path.read_text(encoding="utf-8", errors="replace")
