"""The token endpoint's side of HTTP (RFC 6749 sections 2.3.1, 4.4.2 and 5)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote_plus

from ferry.auth.issuer import Token, TokenRequest
from ferry.auth.oauth import InvalidClient, InvalidTokenRequest, OAuthError
from ferry.errors import BackendUnavailable, InvalidRequest
from ferry.http import bodies
from ferry.http.problems import RETRY_AFTER_SECONDS
from ferry.http.request import Request
from ferry.http.request_errors import BodyTooLarge
from ferry.http.response import Response, json_response

_PARAMETERS = ("client_id", "client_secret", "grant_type", "scope")
_MAX_FIELDS = 100


def token_request(request: Request) -> TokenRequest:
    """What the client asks for, and who it says it is: by HTTP Basic or in the body, never both.

    Raises:
        InvalidTokenRequest: the body cannot be read, a member is there twice, or the client authenticates in two ways.
        InvalidClient: the Authorization header is not Basic, or garbled.
    """
    members = _read_parameters(request)
    client_id, client_secret = members["client_id"], members["client_secret"]
    authorization = request.headers.get("authorization")
    if authorization is not None:
        basic_id, basic_secret = _parse_basic(authorization)
        if client_secret or client_id not in ("", basic_id):
            raise InvalidTokenRequest("authenticate by HTTP Basic or in the body, not both")
        client_id, client_secret = basic_id, basic_secret
    return TokenRequest(client_id, client_secret, members["grant_type"], members["scope"])


def token_response(token: Token) -> Response:
    """Return the response that carries a token (section 5.1)."""
    from ferry.http.responses.tokens import AccessToken

    response = json_response(200, AccessToken.from_token(token), {"Pragma": "no-cache"})
    return response.with_audit(actor=token.client_id, ns=token.ns, scope=token.scope, token_id=token.token_id)


def error_response(error: Exception) -> Response:
    """Any error in OAuth's shape (section 5.2)."""
    match error:
        case InvalidClient():
            # Every 401 names a way to authenticate (RFC 9110 section 15.5.2).
            challenge = {"WWW-Authenticate": 'Basic realm="ferry", charset="UTF-8"'}
            return _oauth_error(401, error.error, error.description, challenge)
        case OAuthError():
            return _oauth_error(400, error.error, error.description)
        case InvalidRequest():
            return _oauth_error(413 if isinstance(error, BodyTooLarge) else 400, "invalid_request", error.detail)
        case BackendUnavailable():
            return _oauth_error(503, "temporarily_unavailable", error.detail, {"Retry-After": str(RETRY_AFTER_SECONDS)})
        case _:
            return _oauth_error(500, "server_error", "Something went wrong here, and it was noted.")


def _oauth_error(status: int, code: str, description: str, headers: Mapping[str, str] | None = None) -> Response:
    from ferry.http.responses.tokens import OAuthErrorBody

    # A description is ASCII without quotes and backslashes (section 5.2).
    plain = "".join(c if " " <= c <= "~" and c not in '"\\' else " " for c in description)
    return json_response(status, OAuthErrorBody(code, plain), {"Pragma": "no-cache", **(headers or {})})


def _read_parameters(request: Request) -> dict[str, str]:
    """The members that matter, empty where there are none; others are ignored (section 3.2)."""
    if request.content_type == bodies.JSON:
        value = bodies.read_json(request)
        if not isinstance(value, dict):
            raise InvalidTokenRequest("the body must be a JSON object")
        members = value
    elif request.content_type in ("", bodies.FORM):
        members = _parse_form(bodies.read_text(request, bodies.MAX_JSON_BYTES))
    else:
        raise InvalidTokenRequest(f"send the body as {bodies.FORM}")
    found = {name: members.get(name) or "" for name in _PARAMETERS}
    if any(not isinstance(value, str) for value in found.values()):
        raise InvalidTokenRequest("members must be strings")
    return found


def _parse_form(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise InvalidTokenRequest("the body is not a form in UTF-8") from error
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidTokenRequest("a member is there twice")
    return members


def _parse_basic(authorization: str) -> tuple[str, str]:
    """The id and secret, each of which is form-encoded inside (section 2.3.1)."""
    scheme, _, credentials = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient
    try:
        pair = base64.b64decode(credentials.strip(), validate=True).decode()
        client_id, colon, secret = pair.partition(":")
        if not colon:
            raise InvalidClient
        return unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, ValueError) as error:
        raise InvalidClient from error
