"""A service that accepts the tokens of an external issuer, whose key set is on loopback."""

from __future__ import annotations

import http.server
import time
from pathlib import Path

from dev.local.client import FerryClient
from dev.local.launcher import LocalService
from tests.e2e.clients import upload_file
from tests.support.issuer import ISSUER, FakeIssuer, http_server, send_response


def test_external_issuer_tokens_accepted(tmp_path: Path) -> None:
    """Tokens of the external issuer have their namespace and scopes, and Ferry's own tokens stay valid.

    A token of another audience, or one that the published keys do not verify, is rejected.
    """
    issuer = FakeIssuer(lambda: time.time_ns() // 1_000_000)

    def keys(handler: http.server.BaseHTTPRequestHandler) -> None:
        send_response(handler, issuer.jwks_document())

    with http_server(keys) as url:
        parameters = (
            f"ExternalIssuerUrl={ISSUER} ExternalIssuerJwksUrl={ISSUER}/keys ExternalIssuerAudience=7abc,8def "
            "ExternalIssuerAudienceClaim=client_id "
            "ExternalIssuerScopePrefix=ferry/ ExternalIssuerNamespaceClaim=client_id"
        )
        # The template takes https alone; FERRY_ENDPOINTS, which the local service sets, allows http on loopback.
        environment = {"FERRY_EXTERNAL_ISSUER_JWKS_URL": url}
        service = LocalService(tmp_path / "state", parameters=parameters, environment=environment)
        try:
            anonymous = FerryClient(service.connection_info["base_url"])
            claims = {"aud": None, "client_id": "7abc", "scope": "ferry/files:read ferry/files:write"}
            external = FerryClient(anonymous.base_url, issuer.sign_token(**claims))
            own = anonymous.authenticate("demo", service.connection_info["clients"][0]["client_secret"])
            upload_file(external, "external.bin", b"hello")
            assert external.download("external.bin").body == b"hello"
            assert own.status("external.bin").status == 404
            assert external.request("DELETE", "/cleanup").status == 403
            other_audience = FerryClient(anonymous.base_url, issuer.sign_token(**{**claims, "client_id": "9ghi"}))
            assert other_audience.request("GET", "/files").status == 401
            issuer.rotate_key()
            forged = FerryClient(anonymous.base_url, issuer.sign_token(**claims))
            assert forged.request("GET", "/files").status == 401
        finally:
            assert service.stop() == 0, service.read_log()
