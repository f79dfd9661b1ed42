"""Responses that are errors, as exceptions."""

from __future__ import annotations

from ferry_client.errors import AccessError, FerryError, ResponseError, api_error
from ferry_client.members import parse_object
from ferry_client.transport import HttpResponse


def error_of(response: HttpResponse) -> FerryError:
    """Return the exception of a response that is an error."""
    try:
        problem = parse_object(response.body)
    except ResponseError:
        problem = {}
    code = str(problem.get("code") or f"http_{response.status}")
    detail = str(
        problem.get("detail")
        or problem.get("error_description")
        or problem.get("message")
        or f"The server responded with status {response.status}."
    )
    request_id = str(problem.get("request_id") or response.headers.get("x-request-id", ""))
    errors = problem.get("errors")
    if isinstance(errors, list):
        detail += "".join(f" {text}" for error in errors if (text := _member_error(error, detail)))
    known = ("type", "title", "status", "detail", "code", "request_id")
    members = {name: value for name, value in problem.items() if name not in known}
    return api_error(response.status, code, detail, request_id, members)


def foreign_error(url: str) -> ResponseError:
    """Return the error of a service's URL at which another server responds."""
    return ResponseError(
        f"{url} responds with something else than a Ferry service: the login page of this network, or another server. "
        "Open a web page to log in to the network, and check the URL."
    )


def is_foreign(response: HttpResponse) -> bool:
    """Return whether a web page came that no function of the service sent. Files of that type have a request id."""
    is_page = response.headers.get("content-type", "").startswith("text/html")
    return is_page and "x-request-id" not in response.headers and "etag" not in response.headers


def _member_error(error: object, detail: str) -> str:
    """Return an entry of a problem's `errors` as a sentence; empty if the detail has it already."""
    if not isinstance(error, dict):
        return str(error)
    message = str(error.get("msg", "")).strip().rstrip(".")
    if message and message in detail:
        return ""
    loc = error.get("loc", "")
    path = ".".join(str(part) for part in loc if part not in ("body", "query")) if isinstance(loc, list) else str(loc)
    return f"{path} {message}.".strip()


def token_error(response: HttpResponse) -> FerryError:
    """Return the exception of a rejected login."""
    if response.status in (400, 401, 403):
        return AccessError(
            response.status,
            "invalid_client",
            "The service does not accept the client id and secret. Check them with `ferry login`.",
        )
    if response.status < 400 or response.status in (404, 405):
        return ResponseError(
            f"The server responds to a login with status {response.status}, so it is no Ferry service. Check the URL."
        )
    return error_of(response)
