"""A service that trusts an issuer outside, set up by its parameters as on AWS; the key set is on loopback."""

from __future__ import annotations

import http.server
import time
from pathlib import Path

from local.api import Api
from local.launch import Launched
from tests.e2e.clients import upload
from tests.support.issuer import ISSUER, Issuer, answer, served


def test_tokens_of_an_issuer_outside(tmp_path: Path) -> None:
    """They open the namespace that they name, with the scopes they have; Ferry's own go on beside them; what the
    issuer's published keys do not verify opens nothing.
    """
    issuer = Issuer(lambda: time.time_ns() // 1_000_000)

    def keys(handler: http.server.BaseHTTPRequestHandler) -> None:
        answer(handler, issuer.document())

    with served(keys) as url:
        parameters = (
            f"OutsideIssuer={ISSUER} OutsideJwksUrl={url} OutsideAudience=7abc,8def OutsideAudienceClaim=client_id "
            "OutsideScopePrefix=ferry/ OutsideNamespaceClaim=client_id"
        )
        service = Launched(tmp_path / "state", parameters=parameters)
        try:
            anonymous = Api(service.described["base_url"])
            claims = {"aud": None, "client_id": "7abc", "scope": "ferry/files:read ferry/files:write"}
            outside = Api(anonymous.base_url, issuer.token(**claims))
            own = anonymous.log_in("demo", service.described["clients"][0]["client_secret"])
            upload(outside, "from outside.bin", b"hello")
            assert outside.download("from outside.bin").body == b"hello"
            assert own.status("from outside.bin").status == 404
            assert outside.request("DELETE", "/cleanup").status == 403
            stranger = Api(anonymous.base_url, issuer.token(**{**claims, "client_id": "9ghi"}))
            assert stranger.request("GET", "/files").status == 401
            issuer.change_key()
            forged = Api(anonymous.base_url, issuer.token(**claims))
            assert forged.request("GET", "/files").status == 401
        finally:
            assert service.stop() == 0, service.log()
