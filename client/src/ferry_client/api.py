"""Requests to a Ferry service: the access token, repetition, and errors as exceptions."""

from __future__ import annotations

import base64
import json
import logging
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from urllib.parse import quote, urlencode

from ferry_client.callbacks import ignore
from ferry_client.cancellation import POLL_SECONDS, CancelToken, current_token, raise_if_cancelled
from ferry_client.errors import CancelledError, FerryError, NetworkError, ResponseError, UsageError
from ferry_client.members import JsonObject, decimal, header_value, parse_object
from ferry_client.options import ClientOptions
from ferry_client.responses import error_of, foreign_error, is_foreign, token_error
from ferry_client.retries import (
    CONTINUE_ADVICE,
    RETRYABLE_STATUSES,
    Retry,
    RetryClock,
    retry_after_seconds,
    retry_delay,
)
from ferry_client.secret_text import SecretText
from ferry_client.transport import Body, BytesBody, HttpRequest, HttpResponse, Transport, TransportError

logger = logging.getLogger("ferry_client")

_TOKEN_RESERVE_SECONDS = 60.0
"""A token is renewed when it is valid for less than this, or for less than a fifth of its lifetime."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A client of the service."""

    client_id: str
    """The id of the client."""
    client_secret: str = field(repr=False)
    """The secret of the client, which is never logged."""


class Api:
    """A Ferry service. Thread-safe."""

    def __init__(self, url: str, credentials: Credentials, options: ClientOptions, transport: Transport) -> None:
        _check_url(url)
        self.url = url.rstrip("/")
        """The service, without a slash at its end."""
        self.options = options
        """How to transfer."""
        self.client_id = credentials.client_id
        """The client of the service."""
        self.transport = transport
        """Sends the requests."""
        self.on_break: Callable[[int], None] = ignore
        """Called when a connection breaks, with the bytes of the request that were sent before."""
        self.on_retry: Callable[[Retry], None] = ignore
        """Called before each repetition."""
        self._credentials = credentials
        self._token = SecretText()
        self._token_expires_at = 0.0
        self._token_lock = Lock()
        self._retry_clock = RetryClock(options.retry_for_seconds)
        self._direct_clock = RetryClock(options.retry_for_seconds)
        self.token = CancelToken()
        """Stops all that the client does."""
        self._process_id = os.getpid()

    def authenticate(self) -> None:
        """Ask for an access token. Raises `AccessError` if the service does not accept the client."""
        self._access_token()

    def stop(self) -> None:
        """Stop all requests and waits. They raise `CancelledError`."""
        if os.getpid() == self._process_id:  # A fork shares the connections of its parent.
            self.token.cancel()
            self.transport.close()

    def sleep(self, seconds: float) -> None:
        """Wait. Raises `CancelledError` if the client, or what this thread does, is stopped meanwhile."""
        CancelToken(self.token, current_token()).wait(seconds)

    def raise_if_unusable(self) -> None:
        """Raise unless a request may be sent now.

        Raises:
            CancelledError: the client is closed, or what this thread does was stopped.
            UsageError: this process is a fork of the one that made the client.
        """
        if os.getpid() != self._process_id:
            raise UsageError(
                "This Ferry was made before the process was forked, and shares connections and locks with its parent. "
                "Make a Ferry in each process."
            )
        if self.token.is_cancelled:
            raise CancelledError("The client is closed, so the transfer was stopped.")
        raise_if_cancelled()

    def request_json(
        self,
        method: str,
        path: str,
        members: Mapping[str, object],
        *,
        accept: tuple[int, ...] = (200,),
        is_repeatable: bool = True,
    ) -> HttpResponse:
        """Send JSON without the members that are None, and return the response. Raises what `request` raises."""
        body = json.dumps({name: value for name, value in members.items() if value is not None}).encode()
        headers = {"Content-Type": "application/json"}
        return self.request(
            method, path, body=BytesBody(body), headers=headers, accept=accept, is_repeatable=is_repeatable
        )

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> JsonObject:
        """Return the JSON object of a path. Raises what `request` raises."""
        return parse_object(self.request("GET", path, headers=headers).body)

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
        is_repeatable: bool = True,
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
            on_break: called when the connection breaks, with the bytes of the content that were sent before.
            is_repeatable: whether the request has the same effect twice. False: it is repeated only where the service
                cannot have received it.

        Raises:
            TransportError: the connection broke `max_attempts` times.
            ApiError: the service rejected the request.
            NetworkError: there was no success for `retry_for_seconds`.
            CancelledError: the client was stopped.
            UsageError: this process is a fork of the one that made the client.
        """
        self.raise_if_unusable()
        url = self._url_of(path)
        has_renewed_token = False
        while True:
            token = self._access_token()
            all_headers = {**(headers or {}), "Authorization": SecretText(f"Bearer {token}")}
            request = HttpRequest(method, url, all_headers, body, stream=stream)
            response = self.send(request, max_attempts, on_break, is_repeatable=is_repeatable)
            error = self._error_of(response, accept)
            if error is None:
                return response
            if response.status != 401 or has_renewed_token:
                raise error
            has_renewed_token = True
            self._forget_token(token)

    def _error_of(self, response: HttpResponse, accept: tuple[int, ...]) -> FerryError | None:
        """Return the exception of a response; None for a status to `accept`. Raises `ResponseError` for another's."""
        if is_foreign(response) or (response.status < 400 and response.status not in accept):
            response.close()
            raise foreign_error(self.url)
        if response.status in accept:
            return None
        if not response.body:  # of a stream; another body was read
            response.body = b"".join(response.iter_body())
        return error_of(response)

    def send(
        self,
        request: HttpRequest,
        max_attempts: float = math.inf,
        on_break: Callable[[int], None] = ignore,
        *,
        is_repeatable: bool = True,
    ) -> HttpResponse:
        """Send a request as it is, to any server; repeat it while that helps.

        Args:
            request: the request.
            max_attempts: how often a connection may break before its error is raised.
            on_break: called when the connection breaks, with the bytes of the content that were sent before.
            is_repeatable: as in `request`.

        Raises:
            TransportError: the connection broke `max_attempts` times.
            NetworkError: there was no success for `retry_for_seconds`, the host is unknown (`wait_for_name`), or the
                request is not repeatable.
            CancelledError: the client was stopped.
        """
        attempt = 0
        while True:
            attempt += 1
            self.raise_if_unusable()
            retry_after: float | None = None
            successes = self._retry_clock.successes
            try:
                response = self.transport.send(request)
            except TransportError as error:
                self.on_break(error.sent_bytes)
                on_break(error.sent_bytes)
                if attempt >= max_attempts:
                    raise
                self._raise_if_final(error, is_repeatable=is_repeatable)
                if error.sent_bytes and (attempt == 1 or self._retry_clock.successes != successes):
                    continue  # The line carried bytes a moment ago: a fresh connection may do so at once.
                reason = str(error)
            else:
                if response.status not in (RETRYABLE_STATUSES if is_repeatable else (429,)):
                    self.record_success()
                    response.attempts = attempt
                    return response
                reason = f"the server responded with status {response.status}"
                retry_after = retry_after_seconds(response.headers)
                response.close()
            self.pause_after_failure(reason, attempt, retry_after)

    def _raise_if_final(self, error: TransportError, *, is_repeatable: bool) -> None:
        """Raise `NetworkError` for a broken connection after which the request is not repeated."""
        if error.is_unknown_name and not self.options.wait_for_name:
            raise NetworkError(f"No connection: {error}.") from error
        if not is_repeatable and not error.is_unsent:
            raise NetworkError(
                f"The connection broke before the response came: {error}. The service may have done what was asked. "
                "See what is there, then decide whether to call again."
            ) from error

    def record_success(self, *, is_direct: bool = False) -> None:
        """Start the time without success anew: that of requests to S3 (`is_direct`), or to the service."""
        (self._direct_clock if is_direct else self._retry_clock).record_success()

    def is_reachable(self) -> bool:
        """Return whether the service responds at all, by one request without repetition."""
        try:
            self.transport.send(HttpRequest("GET", f"{self.url}/health"))
        except TransportError:
            return False
        return True

    def pause_after_failure(
        self, reason: str, attempt: int, retry_after: float | None = None, *, is_direct: bool = False
    ) -> None:
        """Wait before a repetition, longer after each attempt.

        Requests to S3 (`is_direct`) have a time of their own: signing a URL does not count as a success of sending.

        Raises:
            NetworkError: there was no success for `retry_for_seconds`.
            CancelledError: the client was stopped.
        """
        clock = self._direct_clock if is_direct else self._retry_clock
        if clock.is_exhausted(attempt):
            raise NetworkError(
                f"No success for {self.options.retry_for_seconds:.0f} seconds: {reason}. {CONTINUE_ADVICE}"
            )
        delay = retry_delay(attempt, retry_after)
        logger.info("repeating in %.1f s: %s", delay, reason)
        is_first = not is_direct and clock.successes == 0
        self.on_retry(Retry(reason, delay, clock.seconds_left(), is_first))
        self.sleep(delay)

    def file_path(self, route: str, name: str, **query: str | int | None) -> str:
        """Return path and query of a route about one file, with the name in the query, which no gateway changes."""
        given = {key: value for key, value in query.items() if value is not None}
        return f"{route}?{urlencode({'filename': name, **given}, quote_via=quote)}"

    def _url_of(self, path: str) -> str:
        """Return the URL of a path. Raises `ResponseError` for a URL to which the token would go unencrypted."""
        if not path.startswith(("http://", "https://")):
            return self.url + path
        if path.startswith("http://") and not self.url.startswith("http://"):
            raise ResponseError("The service names a URL for uploads without TLS. The token is not sent there.")
        return path

    def _access_token(self) -> SecretText:
        while not self._token_lock.acquire(timeout=POLL_SECONDS):  # Another thread renews it.
            self.raise_if_unusable()
        try:
            if not self._token or time.monotonic() >= self._token_expires_at:
                self._renew_token()
            return self._token
        finally:
            self._token_lock.release()

    def _forget_token(self, token: str) -> None:
        """Forget the rejected token, unless another thread renewed it already."""
        with self._token_lock:
            if self._token == token:
                self._token = SecretText()

    def _renew_token(self) -> None:
        """Request an access token. Raises `AccessError` if the service does not accept the client."""
        headers = {
            "Authorization": _basic(self._credentials),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        body = BytesBody(urlencode({"grant_type": "client_credentials"}).encode())
        requested_at = time.monotonic()
        response = self.send(HttpRequest("POST", f"{self.url}/auth/token", headers, body))
        if response.status != 200:
            raise token_error(response)
        if is_foreign(response):
            raise ResponseError(
                f"{self.url}/auth/token responds with a web page: the login page of this network, or another server. "
                "Check the URL."
            )
        members = parse_object(response.body)
        # The lifetime counts from before the request, by a clock that no change of the time moves.
        lifetime = decimal(members, "expires_in")
        self._token = SecretText(header_value(members, "access_token"))
        self._token_expires_at = requested_at + lifetime - min(_TOKEN_RESERVE_SECONDS, lifetime / 5)


def _basic(credentials: Credentials) -> SecretText:
    """Return the Authorization header of a token request (RFC 6749 section 2.3.1)."""
    pair = f"{quote(credentials.client_id, safe='')}:{quote(credentials.client_secret, safe='')}"
    return SecretText(f"Basic {base64.b64encode(pair.encode()).decode()}")


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
