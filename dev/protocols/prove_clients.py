"""Upload 300 MB by each client of tus, with cuts and kills in between: `python -m dev.protocols.prove_clients`.

Each upload has three cuts of its connection and three kills of every process of the service, in turns. The file that
the service has then is compared by SHA-256.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from playwright.sync_api import sync_playwright

from dev.figures import figures_path, read_figures, write_figures
from dev.protocols import clients, uppy_page
from dev.protocols.clients import Upload
from dev.protocols.disruptions import DisruptedService, Disruption, disrupted_service, spread
from dev.protocols.uppy_page import UppyPage

FIGURES = "tus-clients"
SIZE_BYTES = 300_000_000
DISRUPTIONS = [Disruption.CUT, Disruption.KILL] * 3
_BLOCK_BYTES = 1024 * 1024
_PAGE_TIMEOUT_MS = 1_800_000

_API_BYTES_OF_PLUGIN = 30_000
"""Bytes that Ferry's plugin sends through the API, at least: it sends the parts to S3 past the proxy."""


@dataclass(frozen=True)
class Run:
    """A client of the proof."""

    upload: Callable[[Upload], None]
    """Uploads to the end."""
    chunk_bytes: int = clients.CHUNK_BYTES
    """Bytes of a request at most."""
    api_bytes: int | None = None
    """Bytes through the API over which the disruptions are spread; None: those of the file."""


def runs(service: DisruptedService, pages_url: str) -> Mapping[str, Run]:
    """Return the clients by name."""
    found = {
        "tus-js-client": Run(clients.upload_by_tus_js),
        "@uppy/tus in Chromium": Run(partial(upload_by_page, service, f"{pages_url}/{uppy_page.TUS_PAGE}.html")),
        "Ferry's plugin for Uppy in Chromium": Run(
            partial(upload_by_page, service, f"{pages_url}/{uppy_page.FERRY_PAGE}.html"), api_bytes=_API_BYTES_OF_PLUGIN
        ),
    }
    # The smallest chunks, which take longest, come last.
    for size in clients.CHUNK_SIZES:
        for name in clients.PYTHON_CLIENTS:
            found[f"{name}, chunks of {size:,} bytes"] = Run(partial(clients.run_python_client, name), size)
    return found


def upload_by_page(service: DisruptedService, address: str, upload: Upload) -> None:
    """Upload by an example page of web/uppy in Chromium."""
    client = service.service.connection_info["clients"][0]
    with sync_playwright() as playwright, uppy_page.browser_context(playwright) as context:
        page = UppyPage(
            context.new_page(), address, service.base_url, str(client["client_id"]), str(client["client_secret"])
        )
        page.open()
        # The page names the file after the local one.
        named = upload.path.with_name(upload.name)
        named.hardlink_to(upload.path)
        page.choose(named)
        page.expect_state(f"{upload.name}: complete", _PAGE_TIMEOUT_MS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if every file arrived whole."""
    parser = argparse.ArgumentParser(prog="make prove-tus-clients", description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=SIZE_BYTES, help="bytes of the file")
    parser.add_argument("--only", default="", help="run clients whose name contains this, and keep other figures")
    parser.add_argument("--write", action="store_true", help="write docs/figures/tus-clients.json")
    options = parser.parse_args(arguments)
    clients.install_npm_packages()
    figures: dict[str, dict[str, object]] = {}
    kept = read_figures(FIGURES)["clients"] if options.only and figures_path(FIGURES).exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "content.bin"
        expected, pages = _write_content(path, options.size), Path(folder) / "pages"
        uppy_page.build_examples(pages, uppy_page.UPPY_VERSIONS[0])
        with (
            uppy_page.served_folder(pages) as origin,
            disrupted_service(Path(folder) / "state", f"CorsOrigins={origin}") as service,
        ):
            for name, run in runs(service, origin).items():
                if options.only in name:
                    figures[name] = _prove(service, run, path, expected)
                    print(f"{name}: {figures[name]}", flush=True)
                    if options.write:
                        content = {"size_bytes": options.size, "clients": {**kept, **figures}}
                        write_figures(FIGURES, "make prove-tus-clients", content)
    return int(not figures or not all(figure["sha256_equal"] for figure in figures.values()))


def _write_content(path: Path, size: int) -> str:
    """Write a file of random bytes, and return its SHA-256."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for start in range(0, size, _BLOCK_BYTES):
            block = os.urandom(min(_BLOCK_BYTES, size - start))
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def _prove(service: DisruptedService, run: Run, path: Path, expected: str) -> dict[str, object]:
    """Upload by a client, and return its figures. The file is deleted afterwards."""
    size, name = path.stat().st_size, f"{uuid.uuid4().hex}.bin"
    upload = Upload(f"{service.base_url}/uploads", service.log_in().token, path, name, run.chunk_bytes)
    sent_before, started_at = service.bytes_sent, time.monotonic()
    service.run(partial(run.upload, upload), spread(run.api_bytes or size, DISRUPTIONS))
    seconds = time.monotonic() - started_at
    api = service.log_in()
    body = api.download(upload.name).body
    api.request("DELETE", f"/files/{name}")
    return {
        "sha256_equal": hashlib.sha256(body).hexdigest() == expected,
        "cuts": DISRUPTIONS.count(Disruption.CUT),
        "kills": DISRUPTIONS.count(Disruption.KILL),
        "seconds": round(seconds, 1),
        "share_of_bytes_through_api": round((service.bytes_sent - sent_before) / size, 3),
    }


if __name__ == "__main__":
    raise SystemExit(main())
