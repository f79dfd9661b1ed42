"""Requests and responses of the token endpoint (RFC 6749 sections 2.3.1, 4.4.2 and 5)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote_plus

from ferry.auth.issuer import Token, TokenRequest
from ferry.auth.oauth import InvalidClient, InvalidTokenRequest, OAuthError
from ferry.errors import BackendUnavailable, InvalidRequest
from ferry.http import bodies
from ferry.http.problems import RETRY_AFTER_SECONDS
from ferry.http.request import Request
from ferry.http.request_errors import BodyTooLarge
from ferry.http.response import JSON, Response, json_response
from ferry.rules.canonical_base64 import decode_canonical

_PARAMETERS = ("client_id", "client_secret", "grant_type", "scope")
_MAX_FIELDS = 100
"""Parameters of a form at most, known or not."""


def token_request(request: Request) -> TokenRequest:
    """Return the token request with the client's credentials, which come by HTTP Basic or in the body.

    Raises:
        InvalidTokenRequest: the body is not readable, has a member twice, or has credentials beside HTTP Basic.
        InvalidRequest: the body is too large, or malformed JSON.
        InvalidClient: the Authorization header is malformed, or has another scheme than Basic.
    """
    members = _read_parameters(request)
    client_id, client_secret = members["client_id"], members["client_secret"]
    authorization = request.headers.get("authorization")
    if authorization is not None:
        basic_id, basic_secret = _parse_basic(authorization)
        if client_secret or client_id not in ("", basic_id):
            raise InvalidTokenRequest("credentials are in both the Authorization header and the body; send one of them")
        client_id, client_secret = basic_id, basic_secret
    return TokenRequest(client_id, client_secret, members["grant_type"], members["scope"])


def token_response(token: Token) -> Response:
    """Return the response that carries a token (section 5.1)."""
    from ferry.http.responses.tokens import AccessToken

    response = json_response(200, AccessToken.from_token(token), {"Pragma": "no-cache"})
    return response.with_audit(actor=token.client_id, ns=token.ns, scope=token.scope, token_id=token.token_id)


def error_response(error: Exception) -> Response:
    """Return the response to an error, in OAuth's form (section 5.2)."""
    match error:
        case InvalidClient():
            # A 401 has a challenge (RFC 9110 section 15.5.2).
            challenge = {"WWW-Authenticate": 'Basic realm="ferry", charset="UTF-8"'}
            return _oauth_error(401, error.error, error.description, challenge)
        case OAuthError():
            return _oauth_error(400, error.error, error.description)
        case InvalidRequest():
            return _oauth_error(413 if isinstance(error, BodyTooLarge) else 400, "invalid_request", error.detail)
        case BackendUnavailable():
            return _oauth_error(503, "temporarily_unavailable", error.detail, {"Retry-After": str(RETRY_AFTER_SECONDS)})
        case _:
            return _oauth_error(500, "server_error", "internal error; quote the X-Request-Id header when reporting it")


def _oauth_error(status: int, code: str, description: str, headers: Mapping[str, str] | None = None) -> Response:
    from ferry.http.responses.tokens import OAuthErrorBody

    # Descriptions are ASCII without quotes and backslashes (section 5.2).
    plain = "".join(c if " " <= c <= "~" and c not in '"\\' else " " for c in description)
    return json_response(status, OAuthErrorBody(code, plain), {"Pragma": "no-cache", **(headers or {})})


def _read_parameters(request: Request) -> dict[str, str]:
    """Return the known parameters, empty where the body has none. Other members are ignored (section 3.2)."""
    if request.content_type == JSON:
        value = bodies.read_json(request)
        if not isinstance(value, dict):
            raise InvalidTokenRequest("the JSON is not an object; send an object with grant_type")
        members = value
    elif request.content_type in ("", bodies.FORM):
        members = _parse_form(bodies.read_text(request, bodies.MAX_JSON_BYTES))
    else:
        raise InvalidTokenRequest(f"this Content-Type is not supported; send {bodies.FORM} or {JSON}")
    parameters = {name: members.get(name) or "" for name in _PARAMETERS}
    if any(not isinstance(value, str) for value in parameters.values()):
        raise InvalidTokenRequest(f"a member is not a string; send {', '.join(_PARAMETERS)} as strings")
    return parameters


def _parse_form(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise InvalidTokenRequest("the body is not a form in UTF-8; send name=value pairs joined by &") from error
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidTokenRequest("a parameter is repeated; send each parameter once")
    return members


def _parse_basic(authorization: str) -> tuple[str, str]:
    """Return the client's id and secret from a Basic header, in which both are form-encoded (section 2.3.1)."""
    scheme, _, credentials = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient
    try:
        pair = decode_canonical(credentials.strip()).decode()
        client_id, colon, secret = pair.partition(":")
        if not colon:
            raise InvalidClient
        return unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except ValueError as error:
        raise InvalidClient from error
