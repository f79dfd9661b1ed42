"""The scanner for secrets in logs finds each one, and reports no harmless line."""

from __future__ import annotations

import base64
import json

import pytest

from tests.support.secret_recorder import SecretRecorder, find_leaks

TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJkZW1vIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ"
SECRET = "2YotnFZFEjr1zCsicMWpAA"
LINK_SECRET = "Zm9vYmFyYmF6cXV1eGZvb2JhcmJhenF1dXhmb29iYXI"


@pytest.fixture
def recorder() -> SecretRecorder:
    """A recorder of requests with secrets in each form and filenames in each place."""
    found = SecretRecorder()
    basic = base64.b64encode(f"demo:{SECRET}".encode()).decode()
    found.record_request("POST", "/auth/token", {"Authorization": f"Basic {basic}"}, b"grant_type=client_credentials")
    found.record_request("POST", "/auth/token", {}, b"client_id=demo&client_secret=another-secret")
    found.record_request("POST", "/auth/token", {}, json.dumps({"client_secret": "a-third-secret"}).encode())
    found.record_request("POST", "/upload/start", {}, json.dumps({"filename": "holiday é.mov", "size": 1}).encode())
    found.record_request("GET", "/download/tax%20return.pdf", {}, None)
    found.record_request("GET", "/status?filename=x-ray%20of%20me", {}, None)
    found.record_request("GET", f"/l/{LINK_SECRET}/download/will%20of%20x.pdf", {}, None)
    found.record_request("POST", "/links", {}, json.dumps({"password": "correct horse"}).encode())
    return found


@pytest.mark.parametrize(
    "line",
    [
        f'{{"message": "{TOKEN}"}}',
        "GET /b/o/1?X-Amz-Signature=0123456789abcdef0123456789abcdef",
        '{"X-Amz-Signature": "0123456789abcdef0123456789abcdef"}',
        "https%3A%2F%2Fs3%2Fo%3FX-Amz-Signature%3D0123456789abcdef01",
        "authorization: Basic ZGVtbzpzZWNyZXQtc2VjcmV0",
        "Authorization: Bearer 0123456789-0123456789",
        f"secret={SECRET}",
        "another-secret",
        "a-third-secret",
        "deleted holiday é.mov",
        json.dumps({"filename": "holiday é.mov"}),
        "GET /download/holiday%20%C3%A9.mov",
        "tax return.pdf",
        "x-ray of me",
        f'"path": "/l/{LINK_SECRET}/uploads"',
        "will of x.pdf",
        "the password is correct horse",
    ],
)
def test_secret_in_line_is_found(recorder: SecretRecorder, line: str) -> None:
    """A secret, token, signature or filename is found in every form that a log line may have."""
    assert list(find_leaks(f"before\n{line}\nafter", recorder))


def test_harmless_line_is_not_reported(recorder: SecretRecorder) -> None:
    """Ids and client ids are not reported, and filenames are not where they are allowed."""
    line = '{"event": "token.issue", "actor": "demo", "token_id": "8476a536e9f411e897392dfe598c3fcd", "key": "o/1"}'
    assert not list(find_leaks(line, recorder))
    assert list(find_leaks("tax return.pdf", recorder))
    assert not list(find_leaks("tax return.pdf", recorder, allow_names=True))
