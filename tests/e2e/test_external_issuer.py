"""A service that trusts an issuer outside, set up by its parameters as on AWS; the key set is on loopback."""

from __future__ import annotations

import http.server
import time
from pathlib import Path

from dev.local.client import FerryClient
from dev.local.launcher import LocalService
from tests.e2e.clients import upload_file
from tests.support.issuer import ISSUER, FakeIssuer, http_server, send_response


def test_external_issuer_tokens_accepted(tmp_path: Path) -> None:
    """They open the namespace that they name, with the scopes they have; Ferry's own go on beside them; what the
    issuer's published keys do not verify opens nothing.
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
            outside = FerryClient(anonymous.base_url, issuer.sign_token(**claims))
            own = anonymous.authenticate("demo", service.connection_info["clients"][0]["client_secret"])
            upload_file(outside, "from outside.bin", b"hello")
            assert outside.download("from outside.bin").body == b"hello"
            assert own.status("from outside.bin").status == 404
            assert outside.request("DELETE", "/cleanup").status == 403
            stranger = FerryClient(anonymous.base_url, issuer.sign_token(**{**claims, "client_id": "9ghi"}))
            assert stranger.request("GET", "/files").status == 401
            issuer.rotate_key()
            forged = FerryClient(anonymous.base_url, issuer.sign_token(**claims))
            assert forged.request("GET", "/files").status == 401
        finally:
            assert service.stop() == 0, service.read_log()
