"""`ferry doctor`."""

from __future__ import annotations

import email.utils
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import click

from ferry_client import checksums
from ferry_client.checksums import crc32c_to_base64
from ferry_client.cli import exit_codes
from ferry_client.cli.output import Output, format_bytes
from ferry_client.cli.session import connection_options, open_client
from ferry_client.client import Ferry
from ferry_client.connections import checked_proxy
from ferry_client.errors import AccessError, FerryError, NotFoundError, UsageError
from ferry_client.options import MIB
from ferry_client.transport import BytesBody, HttpRequest, HttpResponse, TransportError

_CLOCK_TOLERANCE_SECONDS = 60
_PROBE_BYTES = MIB


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    check: str
    """What was checked."""
    ok: bool
    """Whether it is right."""
    text: str
    """What was found, and what to fix."""


@click.command("doctor")
@connection_options
def command(profile: str | None, as_json: bool, quiet: bool, retry_for: float) -> int:
    """Check the way to the service and to S3: network, TLS, proxy, clock, login, speed. Say what to fix.

    A file of 1 MiB named ferry-doctor-... is sent, fetched and deleted. Another goes straight to S3 and is cancelled.

    \b
    ferry doctor
    ferry doctor --profile field --json
    """
    output = Output(as_json=as_json, quiet=quiet)
    failed = False
    with open_client(profile, min(retry_for, 20.0), output=output) as ferry:
        for finding in examine(ferry):
            mark = "ok  " if finding.ok else "FIX "
            output.result(
                f"{mark}  {finding.check}: {finding.text}", check=finding.check, ok=finding.ok, text=finding.text
            )
            failed = failed or not finding.ok
    return exit_codes.SOME_FAILED if failed else exit_codes.DONE


def examine(ferry: Ferry) -> Iterator[Finding]:
    """Yield the findings, in the order in which they depend on each other."""
    yield from _environment()
    reached = _service(ferry)
    yield reached[0]
    if not reached[0].ok:
        return
    yield _clock(reached[1])
    login = _attempt("login", lambda: _login(ferry))
    yield login
    if login.ok:
        yield from _transfers(ferry)


def _environment() -> Iterator[Finding]:
    import urllib.request

    proxies = {scheme: url for scheme, url in urllib.request.getproxies().items() if scheme in ("http", "https", "all")}
    if proxies:
        yield _proxy(sorted(set(proxies.values())))
    if checksums.is_compiled():
        yield Finding("checksum", True, "compiled CRC32C")
    else:
        yield Finding(
            "checksum", False, "CRC32C runs in Python, at a few MB/s. Install google-crc32c for this machine."
        )


def _proxy(urls: Sequence[str]) -> Finding:
    try:
        for url in urls:
            checked_proxy(url)
    except UsageError as error:
        return Finding("proxy", False, str(error))
    hosts = ", ".join(url.rpartition("@")[2] for url in urls)
    exceptions = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or "none"
    return Finding("proxy", True, f"{hosts}; exceptions (NO_PROXY): {exceptions}")


def _service(ferry: Ferry) -> tuple[Finding, float]:
    """Return whether the service answers, and how many seconds this machine's clock is ahead."""
    started_at = time.monotonic()
    try:
        response = ferry.api.transport.send(HttpRequest("GET", f"{ferry.api.url}/health"))
    except UsageError as error:
        return Finding("service", False, str(error)), 0.0
    except TransportError as error:
        return Finding("service", False, f"{ferry.api.url}: {error}. Check the URL, the network and the proxy."), 0.0
    elapsed_ms = (time.monotonic() - started_at) * 1000
    if response.status != 200:
        text = f"{ferry.api.url}/health answers {response.status}. Is this the URL of a Ferry service?"
        return Finding("service", False, text), 0.0
    date = email.utils.parsedate_to_datetime(response.headers["date"]) if "date" in response.headers else None
    # A Date field has whole seconds, cut off (RFC 9110 section 5.6.7): half a second is the mean of what is missing.
    ahead = time.time() - date.timestamp() - 0.5 if date else 0.0
    return Finding("service", True, f"{ferry.api.url} answers in {elapsed_ms:.0f} ms"), ahead


def _clock(ahead_seconds: float) -> Finding:
    if abs(ahead_seconds) <= _CLOCK_TOLERANCE_SECONDS:
        return Finding("clock", True, f"differs from the service's by {abs(ahead_seconds):.0f} s")
    side = "ahead of" if ahead_seconds > 0 else "behind"
    text = f"{abs(ahead_seconds):.0f} s {side} the service's. Transfers work; set it, for example by NTP."
    return Finding("clock", False, text)


def _login(ferry: Ferry) -> str:
    ferry.api.authenticate()
    return "the client is accepted"


def _transfers(ferry: Ferry) -> Iterator[Finding]:
    name = f"ferry-doctor-{secrets.token_hex(8)}"
    data = secrets.token_bytes(_PROBE_BYTES)
    up = _attempt("send", lambda: _timed(lambda: ferry.upload(data, name, content_type="application/octet-stream")))
    yield up
    if not up.ok:
        return
    yield _attempt("fetch", lambda: _timed(lambda: ferry.read(name)))
    yield _attempt_direct("send to S3", lambda: _send_to_s3(ferry, f"{name}-2", data))
    yield _attempt_direct("fetch from S3", lambda: _fetch_from_s3(ferry, name))
    try:
        ferry.delete(name)
    except (NotFoundError, AccessError):
        return


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
        return Finding(check, False, f"{error}. Transfers go through the API alone, in chunks of 4 MiB.")
    if response.status != 200:
        return Finding(check, False, f"S3 answers {response.status}. Transfers go through the API alone.")
    return Finding(check, True, f"{format_bytes(_PROBE_BYTES / (time.monotonic() - started_at))}/s")


def _timed(transfer: Callable[[], object]) -> str:
    started_at = time.monotonic()
    transfer()
    return f"{format_bytes(_PROBE_BYTES / (time.monotonic() - started_at))}/s through the API"


def _attempt(check: str, run: Callable[[], str]) -> Finding:
    try:
        return Finding(check, True, run())
    except FerryError as error:
        return Finding(check, False, str(error))
