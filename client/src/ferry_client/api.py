"""Requests to a Ferry service: the access token, repetition, and errors as exceptions."""

from __future__ import annotations

import base64
import json
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from ferry_client.callbacks import ignore
from ferry_client.errors import AccessError, CancelledError, NetworkError, UsageError, api_error
from ferry_client.options import ClientOptions
from ferry_client.transport import Body, BytesBody, HttpRequest, HttpResponse, Transport, TransportError

logger = logging.getLogger("ferry_client")

RETRYABLE_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed."""

CONTINUE_ADVICE = "Run the same command again when the network is back; it continues where it stopped."
"""What to do after a time without success, for transfers that can be continued."""

_FIRST_DELAY_SECONDS = 0.5
_MAX_DELAY_SECONDS = 20.0
_TOKEN_RESERVE_SECONDS = 60.0
"""A token is renewed when it is valid for less than this, or for less than a fifth of its lifetime."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A client of the service."""

    client_id: str
    """The id."""
    client_secret: str
    """The secret. Never logged."""

    def __repr__(self) -> str:
        return f"Credentials(client_id={self.client_id!r})"


@dataclass(frozen=True, slots=True)
class Retry:
    """A request that is about to be repeated."""

    reason: str
    """Why: what failed, and what to check."""
    delay_seconds: float
    """Time until it is repeated."""
    seconds_left: float
    """Time until it is given up, if nothing succeeds."""
    is_first_request: bool
    """Whether nothing has succeeded yet: the reason may be the configuration."""


class RetryClock:
    """How long requests have been without success. One for all threads of a client."""

    def __init__(self, retry_for_seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._retry_for_seconds = retry_for_seconds
        self._now = now
        self._lock = threading.Lock()
        self._failing_since: float | None = None
        self.successes = 0
        """Successes so far."""

    def record_success(self) -> None:
        """Start the time anew."""
        with self._lock:
            self._failing_since = None
            self.successes += 1

    def is_exhausted(self) -> bool:
        """Record a failure, and return whether the time without success is used up."""
        with self._lock:
            if self._failing_since is None:
                self._failing_since = self._now()
            return self._now() - self._failing_since >= self._retry_for_seconds

    def seconds_left(self) -> float:
        """Return how long requests are still repeated if none succeeds."""
        with self._lock:
            since = self._now() if self._failing_since is None else self._failing_since
            return max(0.0, since + self._retry_for_seconds - self._now())


class Api:
    """A Ferry service. Thread-safe."""

    def __init__(self, url: str, credentials: Credentials, options: ClientOptions, transport: Transport) -> None:
        _check_url(url)
        self.url = url.rstrip("/")
        """The service, without a slash at its end."""
        self.options = options
        """How to transfer."""
        self.transport = transport
        """Sends the requests."""
        self.on_break: Callable[[int], None] = ignore
        """Called when a connection breaks, with the bytes of the request that were on their way."""
        self.on_retry: Callable[[Retry], None] = ignore
        """Called before each repetition."""
        self._credentials = credentials
        self._token = ""
        self._token_expires_at = 0.0
        self._token_lock = threading.Lock()
        self._retry_clock = RetryClock(options.retry_for_seconds)
        self._direct_clock = RetryClock(options.retry_for_seconds)
        self._stopped = threading.Event()

    def authenticate(self) -> None:
        """Ask for an access token. Raises `AccessError` if the service does not accept the client."""
        self._access_token()

    def stop(self) -> None:
        """Stop all requests and waits. They raise `CancelledError`."""
        self._stopped.set()
        self.transport.close()

    def sleep(self, seconds: float) -> None:
        """Wait. Raises `CancelledError` if the client is stopped meanwhile."""
        if self._stopped.wait(seconds):
            raise CancelledError("The transfer was stopped.")

    def request_json(
        self, method: str, path: str, members: Mapping[str, Any] | None = None, *, accept: tuple[int, ...] = (200,)
    ) -> HttpResponse:
        """Send JSON without the members that are None, and return the response. Raises what `request` raises."""
        if members is None:
            return self.request(method, path, accept=accept)
        body = json.dumps({name: value for name, value in members.items() if value is not None}).encode()
        headers = {"Content-Type": "application/json"}
        return self.request(method, path, body=BytesBody(body), headers=headers, accept=accept)

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        accept: tuple[int, ...] = (200,),
        stream: bool = False,
        max_attempts: float = math.inf,
        on_break: Callable[[int], None] = ignore,
    ) -> HttpResponse:
        """Send a request with the access token, repeat it while that helps, and return the response.

        Args:
            method: the method.
            path: path and query, encoded; or an absolute URL of the service (`chunk_url`).
            body: the content.
            headers: further header fields.
            accept: the statuses that are no error.
            stream: whether the caller reads the body in blocks.
            max_attempts: how often a connection may break before `TransportError` is raised.
            on_break: called when the connection breaks, with the bytes of the content that were on their way.

        Raises:
            TransportError: the connection broke `max_attempts` times.
            ApiError: the service rejected the request.
            NetworkError: there was no success for `retry_for_seconds`.
            CancelledError: the client was stopped.
        """
        url = path if path.startswith(("http://", "https://")) else self.url + path
        renewed_token = False
        while True:
            token = self._access_token()
            all_headers = {**(headers or {}), "Authorization": f"Bearer {token}"}
            response = self.send(HttpRequest(method, url, all_headers, body, stream=stream), max_attempts, on_break)
            if response.status in accept and not _is_foreign(response):
                return response
            if response.status < 400:
                response.close()
                raise NetworkError(
                    f"{self.url} answers with something else than a Ferry service: the login page of this network, or "
                    "another server. Open a web page to log in to the network, and check the URL."
                )
            if stream and not response.body:
                response.body = b"".join(response.iter_body())
            error = error_of(response)
            if response.status == 401 and not renewed_token:
                renewed_token = True
                self._forget_token(token)
                continue
            raise error

    def send(
        self, request: HttpRequest, max_attempts: float = math.inf, on_break: Callable[[int], None] = ignore
    ) -> HttpResponse:
        """Send a request as it is, to any server; repeat it while that helps.

        Args:
            request: the request.
            max_attempts: how often a connection may break before its error is raised.
            on_break: called when the connection breaks, with the bytes of the content that were on their way.

        Raises:
            TransportError: the connection broke `max_attempts` times.
            NetworkError: there was no success for `retry_for_seconds`, or the host is unknown (`wait_for_name`).
            CancelledError: the client was stopped.
        """
        attempt = 0
        while True:
            attempt += 1
            retry_after: float | None = None
            successes = self._retry_clock.successes
            try:
                response = self.transport.send(request)
            except TransportError as error:
                self.on_break(error.sent_bytes)
                on_break(error.sent_bytes)
                if attempt >= max_attempts:
                    raise
                if error.is_unknown_name and not self.options.wait_for_name:
                    raise NetworkError(f"No connection: {error}.") from error
                if error.sent_bytes and (attempt == 1 or self._retry_clock.successes != successes):
                    continue  # The line carried bytes a moment ago: a fresh connection may do so at once.
                reason = str(error)
            else:
                if response.status not in RETRYABLE_STATUSES:
                    self.record_success()
                    response.attempts = attempt
                    return response
                reason = f"the server answered {response.status}"
                retry_after = _retry_after(response)
                response.close()
            self.pause_after_failure(reason, attempt, retry_after)

    def record_success(self, *, is_direct: bool = False) -> None:
        """Start the time without success anew: that of requests to S3 (`is_direct`), or to the service."""
        (self._direct_clock if is_direct else self._retry_clock).record_success()

    def is_reachable(self) -> bool:
        """Return whether the service answers at all, by one request without repetition."""
        try:
            self.transport.send(HttpRequest("GET", f"{self.url}/health"))
        except TransportError:
            return False
        return True

    def pause_after_failure(
        self, reason: str, attempt: int, retry_after: float | None = None, *, is_direct: bool = False
    ) -> None:
        """Wait before a repetition, longer after each attempt.

        Requests to S3 (`is_direct`) have a time of their own: signing a URL anew is no success of sending to it.

        Raises:
            NetworkError: there was no success for `retry_for_seconds`.
            CancelledError: the client was stopped.
        """
        clock = self._direct_clock if is_direct else self._retry_clock
        if clock.is_exhausted():
            raise NetworkError(
                f"No success for {self.options.retry_for_seconds:.0f} seconds: {reason}. {CONTINUE_ADVICE}"
            )
        delay = min(_MAX_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2 ** min(attempt - 1, 10))
        delay *= random.uniform(0.5, 1.0)  # noqa: S311 - spreads the repetitions of many clients, no secret
        delay = max(delay, min(retry_after or 0.0, 60.0))
        logger.info("repeating in %.1f s: %s", delay, reason)
        is_first = not is_direct and clock.successes == 0
        self.on_retry(Retry(reason, delay, clock.seconds_left(), is_first))
        self.sleep(delay)

    def file_path(self, route: str, name: str, **query: str | int | None) -> str:
        """Return path and query of a route about one file, with the name in the query, which no gateway changes."""
        given = {key: value for key, value in query.items() if value is not None}
        return f"{route}?{urlencode({'filename': name, **given}, quote_via=quote)}"

    def _access_token(self) -> str:
        with self._token_lock:
            if not self._token or time.monotonic() >= self._token_expires_at:
                self._renew_token()
            return self._token

    def _forget_token(self, token: str) -> None:
        """Forget the rejected token, unless another thread renewed it already."""
        with self._token_lock:
            if self._token == token:
                self._token = ""

    def _renew_token(self) -> None:
        pair = f"{quote(self._credentials.client_id, safe='')}:{quote(self._credentials.client_secret, safe='')}"
        headers = {
            "Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        body = BytesBody(urlencode({"grant_type": "client_credentials"}).encode())
        requested_at = time.monotonic()
        response = self.send(HttpRequest("POST", f"{self.url}/auth/token", headers, body))
        if response.status != 200:
            raise _token_error(response)
        if _is_foreign(response):
            raise NetworkError(
                f"{self.url}/auth/token answers with a web page: the login page of this network, or another server. "
                "Check the URL."
            )
        token = response.json()
        # The lifetime counts from before the request, by a clock that no change of the time moves.
        lifetime = float(token["expires_in"])
        self._token = token["access_token"]
        self._token_expires_at = requested_at + lifetime - min(_TOKEN_RESERVE_SECONDS, lifetime / 5)


def _check_url(url: str) -> None:
    """Raise `UsageError` if a text is no URL of a service. The error repeats no password."""
    from urllib.parse import urlsplit

    if not url.startswith(("http://", "https://")):
        raise UsageError(f"The service's URL must begin with https:// or http://, this one is {url!r}.")
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise UsageError("The service's URL has a user name and password. Give the client's id and secret instead.")
    try:
        parts = urlsplit(url)
        is_valid = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid:
        raise UsageError(f"The service's URL {url!r} is not valid. Write for example https://files.example.com.")


def error_of(response: HttpResponse) -> Exception:
    """Return the exception of a response that is an error."""
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    code = str(problem.get("code") or f"http_{response.status}")
    detail = str(
        problem.get("detail")
        or problem.get("error_description")
        or problem.get("message")
        or f"The server answered {response.status}."
    )
    request_id = str(problem.get("request_id") or response.headers.get("x-request-id", ""))
    if isinstance(problem.get("errors"), list):
        detail += "".join(f" {text}" for error in problem["errors"] if (text := _member_error(error, detail)))
    known = ("type", "title", "status", "detail", "code", "request_id")
    members = {name: value for name, value in problem.items() if name not in known}
    return api_error(response.status, code, detail, request_id, members)


def _is_foreign(response: HttpResponse) -> bool:
    """Return whether a web page came that no function of the service sent. Files of that type have a request id."""
    is_page = response.headers.get("content-type", "").startswith("text/html")
    return is_page and "x-request-id" not in response.headers and "etag" not in response.headers


def _member_error(error: Any, detail: str) -> str:
    """Return an entry of a problem's `errors` as a sentence; empty if the detail has it already."""
    if not isinstance(error, dict):
        return str(error)
    message = str(error.get("msg", "")).strip().rstrip(".")
    if message and message in detail:
        return ""
    loc = error.get("loc", "")
    path = ".".join(str(part) for part in loc if part not in ("body", "query")) if isinstance(loc, list) else str(loc)
    return f"{path} {message}.".strip()


def _token_error(response: HttpResponse) -> Exception:
    if response.status in (400, 401, 403):
        return AccessError(
            response.status,
            "invalid_client",
            "The service does not accept the client id and secret. Check them with `ferry login`.",
        )
    if response.status < 400 or response.status in (404, 405):
        return NetworkError(
            f"The server answers {response.status} to a login, so it is no Ferry service. Check the URL."
        )
    return error_of(response)


def _retry_after(response: HttpResponse) -> float | None:
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdigit() else None
