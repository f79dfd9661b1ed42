"""A fake external issuer, like Cognito, Entra or Keycloak: its keys, its tokens, and a server for its key set."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISSUER = "https://issuer.example/tenant"


@cache
def rsa_key(number: int, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return the RSA key of that number. Cached, because generating one takes long."""
    return rsa.generate_private_key(65537, bits)


def rsa_jwk(kid: str, key: rsa.RSAPrivateKey, **more: Any) -> dict[str, Any]:
    return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig", **more}


def ec_jwk(kid: str, key: ec.EllipticCurvePrivateKey, **more: Any) -> dict[str, Any]:
    return {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, **more}


@dataclass
class FakeIssuer:
    """An issuer that signs with RS256."""

    clock: Callable[[], int]
    """Epoch milliseconds."""
    kid: str = "rsa-1"
    """Id of the key that signs."""
    key_number: int = 1
    """Number of the key that signs (`rsa_key`)."""
    keys: list[Any] = field(default_factory=list)
    """The published keys."""

    def __post_init__(self) -> None:
        self.publish_current_key()

    def publish_current_key(self) -> None:
        """Publish the current key, and no other."""
        self.keys = [rsa_jwk(self.kid, rsa_key(self.key_number), alg="RS256")]

    def rotate_key(self) -> None:
        """Sign with another key from now on, without publishing it."""
        self.key_number += 1
        self.kid = f"rsa-{self.key_number}"

    def jwks_document(self) -> bytes:
        return json.dumps({"keys": self.keys}).encode()

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return the claims of a token that is valid for an hour. A change to None removes the claim."""
        now = self.clock() // 1000
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "sub": "robot",
            "aud": "ferry",
            "ns": "acme",
            "scope": "files:read email",
        }
        claims |= {"iat": now, "exp": now + 3600, **changes}
        return {name: value for name, value in claims.items() if value is not None}

    def sign_token(self, **changes: Any) -> str:
        return jwt.encode(
            self.claims(**changes), rsa_key(self.key_number), algorithm="RS256", headers={"kid": self.kid}
        )


GetHandler = Callable[[http.server.BaseHTTPRequestHandler], None]


@contextmanager
def http_server(handle_get: GetHandler) -> Iterator[str]:
    """Serve GET requests with `handle_get` on loopback, and yield the URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            handle_get(self)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
            """Log nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/keys"
        finally:
            server.shutdown()
            thread.join()


def send_response(
    handler: http.server.BaseHTTPRequestHandler,
    body: bytes,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)
