"""Verify the signatures of requests to the emulated AWS services (AWS Signature Version 4, in the header).

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import parse_qsl, quote

from hypercorn.typing import HTTPScope

LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "host.docker.internal"})
"""The names under which clients reach this machine. Functions in containers use the last one."""
_MAX_CLOCK_SKEW_SECONDS = 300
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/,\s]+)/(?P<day>\d{8})/(?P<region>[a-z0-9-]+)/(?P<service>[a-z0-9-]+)"
    r"/aws4_request,\s*SignedHeaders=(?P<names>[a-z0-9;_-]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)


def is_local_host(host: str) -> bool:
    """Return whether a Host header names this machine.

    A page whose own name DNS gives this machine's address (DNS rebinding) sends that name.
    """
    name, _, port = host.partition(":")
    return name.lower() in LOCAL_HOSTS and (not port or port.isdecimal())


class SignatureVerifier:
    """Accepts requests that are signed with one access key.

    Args:
        credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
        services: the names of the services in signatures, such as `dynamodb`.
    """

    def __init__(self, credentials: Mapping[str, str], services: Collection[str]) -> None:
        self._access_key = credentials["AWS_ACCESS_KEY_ID"]
        self._secret_key = credentials["AWS_SECRET_ACCESS_KEY"]
        self._services = services

    def accepts(self, scope: HTTPScope, body: bytes, now: datetime | None = None) -> bool:
        """Return whether a request is for this machine and signed: host, `x-amz-*` headers and body included."""
        headers = _read_headers(scope)
        if headers is None or not is_local_host(headers.get("host", "")):
            return False
        given = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
        if given is None or given["key"] != self._access_key or given["service"] not in self._services:
            return False
        date, names = headers.get("x-amz-date", ""), given["names"].split(";")
        required = {"host", *(name for name in headers if name.startswith("x-amz-"))}
        if not date.startswith(given["day"]) or not _is_current(date, now or datetime.now(UTC)):
            return False
        if not required <= set(names) <= headers.keys():
            return False
        digest = hashlib.sha256(body).hexdigest()
        if headers.get("x-amz-content-sha256", digest) != digest:
            return False
        request = _canonical_request(scope, {name: headers[name] for name in names}, digest)
        place = f"{given['day']}/{given['region']}/{given['service']}/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{date}\n{place}\n{hashlib.sha256(request.encode()).hexdigest()}"
        expected = _hmac(_signing_key(self._secret_key, place), text).hex()
        return hmac.compare_digest(expected, given["signature"])


def _read_headers(scope: HTTPScope) -> dict[str, str] | None:
    """Return the headers by name in lower case, or None where one occurs twice."""
    found = {name.decode("latin-1").lower(): value.decode("latin-1").strip() for name, value in scope["headers"]}
    return found if len(found) == len(list(scope["headers"])) else None


def _is_current(date: str, now: datetime) -> bool:
    try:
        signed_at = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return False
    return abs((now - signed_at).total_seconds()) <= _MAX_CLOCK_SKEW_SECONDS


def _canonical_request(scope: HTTPScope, signed_headers: Mapping[str, str], digest: str) -> str:
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    parameters = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in query)
    lines = [
        scope["method"],
        # The path is encoded twice: once as it is sent, once here.
        quote(scope["raw_path"], safe="/-_.~"),
        "&".join(f"{name}={value}" for name, value in parameters),
        *(f"{name}:{' '.join(value.split())}" for name, value in sorted(signed_headers.items())),
        "",
        ";".join(sorted(signed_headers)),
        digest,
    ]
    return "\n".join(lines)


@lru_cache(maxsize=16)
def _signing_key(secret_key: str, place: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for part in place.split("/"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
