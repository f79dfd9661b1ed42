"""`ferry doctor`."""

from __future__ import annotations

import email.utils
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from ferry_client import checksums
from ferry_client.atomic_files import write_atomically
from ferry_client.checksums import crc32c_to_base64
from ferry_client.cli import exit_codes
from ferry_client.cli.config import state_path
from ferry_client.cli.doctor_file import DIRECT_SUFFIX, probe_file
from ferry_client.cli.output import Output, format_bytes
from ferry_client.cli.session import connection_options, open_client
from ferry_client.client import Ferry
from ferry_client.connections import checked_proxy
from ferry_client.errors import FerryError, UsageError
from ferry_client.options import MIB
from ferry_client.retries import CONTINUE_ADVICE, RETRYABLE_STATUSES
from ferry_client.transport import BytesBody, HttpRequest, HttpResponse, TransportError

_CLOCK_TOLERANCE_SECONDS = 60
"""Difference of clocks that is no fault."""

_PROBE_BYTES = MIB
"""Bytes of the file that is sent."""

_PROBE_TYPE = "application/octet-stream"
"""Type of the file that is sent."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    check: str
    """What was checked."""
    ok: bool
    """Whether it is right."""
    text: str
    """What was found, and what to fix."""
    code: int = exit_codes.DONE
    """The exit code of what is wrong; 0 if it is right."""

    @classmethod
    def wrong(cls, check: str, text: str, code: int = exit_codes.SOME_FAILED) -> Finding:
        """Return the finding of a check that failed."""
        return cls(check, False, text, code)


@click.command("doctor")
@connection_options
def command(profile: str | None, as_json: bool, quiet: bool, retry_for: float) -> int:
    """Check the way to the service and to S3: network, TLS, proxy, clock, login, speed. Say what to fix.

    A file of 1 MiB named ferry-doctor-... is sent, fetched and deleted. Another goes straight to S3 and is cancelled.
    The exit code is that of the first fault: 4 for the login, say, or 6 for the network. It is 1 for what slows
    transfers down without stopping them. With --quiet only faults are shown.

    \b
    ferry doctor
    ferry doctor --profile field --json
    ferry doctor --quiet                     # for cron: no output while all is well
    """
    output = Output(as_json=as_json, quiet=quiet)
    codes: list[int] = []
    with open_client(profile, min(retry_for, 20.0), output=output) as ferry:
        for finding in examine(ferry):
            codes += [] if finding.ok else [finding.code]
            if finding.ok and quiet and not as_json:
                continue
            mark = "ok  " if finding.ok else "FIX "
            output.result(
                f"{mark}  {finding.check}: {finding.text}", check=finding.check, ok=finding.ok, text=finding.text
            )
    stopping = [code for code in codes if code != exit_codes.SOME_FAILED]
    return next(iter([*stopping, *codes]), exit_codes.DONE)


def examine(ferry: Ferry) -> Iterator[Finding]:
    """Yield the findings, in the order in which they depend on each other."""
    yield from _environment()
    service, ahead_seconds = _service(ferry)
    yield service
    if not service.ok:
        return
    yield _clock(ahead_seconds)
    login = _attempt("login", lambda: _login(ferry))
    yield login
    if login.ok:
        yield from _transfers(ferry)


def _environment() -> Iterator[Finding]:
    """Yield what is found without a request."""
    import urllib.request

    proxies = {scheme: url for scheme, url in urllib.request.getproxies().items() if scheme in ("http", "https", "all")}
    if proxies:
        yield _proxy(sorted(set(proxies.values())))
    if checksums.is_compiled():
        yield Finding("checksum", True, "compiled CRC32C")
    else:
        text = (
            "CRC32C runs in Python, at a few MB/s. Install a compiled one: pip install google-crc32c "
            "(with pipx: pipx inject ferry-client google-crc32c)."
        )
        yield Finding.wrong("checksum", text)
    yield _state_folder(state_path())


def _state_folder(folder: Path) -> Finding:
    """Return whether the state folder can be written."""
    try:
        write_atomically(folder / "doctor", b"", durable=False)
        (folder / "doctor").unlink()
    except OSError as error:
        text = (
            f"{folder} cannot be written: {error.strerror}. Set FERRY_STATE_DIR to another folder: without one, sync "
            "reads every file again, and --spool-input does not work."
        )
        return Finding.wrong("state folder", text)
    return Finding("state folder", True, "can be written")


def _proxy(urls: Sequence[str]) -> Finding:
    try:
        for url in urls:
            checked_proxy(url)
    except UsageError as error:
        return Finding.wrong("proxy", str(error), exit_codes.USAGE)
    hosts = ", ".join(url.rpartition("@")[2] for url in urls)
    exceptions = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or "none"
    return Finding("proxy", True, f"{hosts}; exceptions (NO_PROXY): {exceptions}")


def _service(ferry: Ferry) -> tuple[Finding, float]:
    """Return whether the service responds, and how many seconds this machine's clock is ahead."""
    started_at = time.monotonic()
    url = ferry.api.url
    try:
        response = ferry.api.transport.send(HttpRequest("GET", f"{url}/health"))
    except UsageError as error:
        return Finding.wrong("service", str(error), exit_codes.USAGE), 0.0
    except TransportError as error:
        return Finding.wrong("service", f"{url} is out of reach: {error}.", exit_codes.NETWORK), 0.0
    elapsed_ms = (time.monotonic() - started_at) * 1000
    if not _is_healthy(response):
        return Finding.wrong("service", _foreign_response(url, response), exit_codes.NETWORK), 0.0
    date = email.utils.parsedate_to_datetime(response.headers["date"]) if "date" in response.headers else None
    # A Date field has whole seconds, cut off (RFC 9110 section 5.6.7): half a second is the mean of what is missing.
    ahead = time.time() - date.timestamp() - 0.5 if date else 0.0
    return Finding("service", True, f"{url} responds in {elapsed_ms:.0f} ms"), ahead


def _is_healthy(response: HttpResponse) -> bool:
    """Return whether a response is one of a Ferry service: the login page of a network has status 200, too."""
    try:
        return response.status == 200 and isinstance(response.json(), dict)
    except ValueError:
        return False


def _foreign_response(url: str, response: HttpResponse) -> str:
    """Return what to fix where another server responds."""
    if response.status == 407:
        return "the proxy asks for a user and password: set HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT"
    text = f"{url}/health responds with {response.status}"
    if response.status in RETRYABLE_STATUSES:
        return f"{text}: the service is overloaded or down. Try again in a minute."
    if response.status == 200:
        text += " and no health report"
    return f"{text}. Is this the URL of a Ferry service, and does this network have a login page?"


def _clock(ahead_seconds: float) -> Finding:
    if abs(ahead_seconds) <= _CLOCK_TOLERANCE_SECONDS:
        return Finding("clock", True, f"differs from the service's by {abs(ahead_seconds):.0f} s")
    side = "ahead of" if ahead_seconds > 0 else "behind"
    text = f"{abs(ahead_seconds):.0f} s {side} the service's. Transfers work; set it, for example by NTP."
    return Finding.wrong("clock", text)


def _login(ferry: Ferry) -> str:
    ferry.api.authenticate()
    return "the client is accepted"


def _transfers(ferry: Ferry) -> Iterator[Finding]:
    data = secrets.token_bytes(_PROBE_BYTES)
    with probe_file(ferry, state_path()) as name:
        upload = _attempt("send", lambda: _timed(lambda: ferry.upload(data, name, content_type=_PROBE_TYPE)))
        yield upload
        if not upload.ok:
            return
        yield _attempt("fetch", lambda: _timed(lambda: ferry.read(name)))
        yield _attempt_direct("send to S3", lambda: _send_to_s3(ferry, f"{name}{DIRECT_SUFFIX}", data))
        yield _attempt_direct("fetch from S3", lambda: _fetch_from_s3(ferry, name))


def _send_to_s3(ferry: Ferry, name: str, data: bytes) -> HttpResponse:
    """Send one part straight to S3, and cancel its upload."""
    crc = crc32c_to_base64(checksums.crc32c(data))
    plan = ferry.api.request_json("POST", "/upload/start", {"filename": name, "size": len(data)}, accept=(201,)).json()
    checksum = {"algorithm": "crc32c", "value": crc}
    members = {
        "filename": name,
        "upload_id": plan["upload_id"],
        "parts": [{"part_number": 1, "checksum": checksum}],
    }
    try:
        part = ferry.api.request_json("POST", "/upload/parts", members).json()["parts"][0]
        return ferry.api.transport.send(HttpRequest("PUT", part["url"], part["headers"], BytesBody(data)))
    finally:
        ferry.cancel(name, upload_id=plan["upload_id"])


def _fetch_from_s3(ferry: Ferry, name: str) -> HttpResponse:
    link = ferry.api.request("GET", ferry.api.file_path("/download", name, redirect="false")).json()
    return ferry.api.transport.send(HttpRequest("GET", link["url"]))


def _attempt_direct(check: str, transfer: Callable[[], HttpResponse]) -> Finding:
    """Return whether bytes go straight between this machine and S3, at the rate of the whole exchange."""
    started_at = time.monotonic()
    try:
        response = transfer()
    except FerryError as error:
        return Finding.wrong(check, f"{error}. Transfers go through the API alone, in chunks of 4 MiB.")
    if response.status != 200:
        return Finding.wrong(check, f"S3 responds with status {response.status}. Transfers go through the API alone.")
    return Finding(check, True, f"{format_bytes(_PROBE_BYTES / (time.monotonic() - started_at))}/s")


def _timed(transfer: Callable[[], object]) -> str:
    started_at = time.monotonic()
    transfer()
    return f"{format_bytes(_PROBE_BYTES / (time.monotonic() - started_at))}/s through the API"


def _attempt(check: str, run: Callable[[], str]) -> Finding:
    try:
        return Finding(check, True, run())
    except FerryError as error:
        text = str(error).removesuffix(CONTINUE_ADVICE).rstrip()
        return Finding.wrong(check, text, exit_codes.exit_code(error))
