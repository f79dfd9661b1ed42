"""Upload 300 MB by each client of tus, with cuts and kills in between: `python -m dev.protocols.prove_clients`.

Each upload has three cuts of its connection and three kills of the service, in turns. The file that the service has
then is compared by SHA-256. A kill ends every process of the local service; with `--sam` the functions run in
containers behind `sam local start-api`, and a kill ends SAM CLI and the containers.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from playwright.sync_api import sync_playwright

from dev.docker import start_api
from dev.docker.dockerd import docker_running
from dev.figures import describe_commit, figures_path, read_figures, write_figures
from dev.protocols import clients, uppy_page
from dev.protocols.clients import Upload
from dev.protocols.disruptions import DisruptedService, Disruption, disrupted_sam_service, disrupted_service, spread
from dev.protocols.java_client import JavaClient
from dev.protocols.uppy_page import UppyPage

FIGURES = "tus-clients"
SIZE_BYTES = 300_000_000
DISRUPTIONS = [Disruption.CUT, Disruption.KILL] * 3
_BLOCK_BYTES = 1024 * 1024
_PAGE_TIMEOUT_MS = 1_800_000

_API_BYTES_OF_PLUGIN = 30_000
"""Bytes that Ferry's plugin sends through the API, at least: it sends the parts to S3 past the proxy."""


@dataclass(frozen=True)
class Section:
    """A service of the proof, whose figures are a section of their own."""

    name: str
    """The name of the section."""
    command: str
    """The command that measures it."""
    service: Callable[[Path, str], AbstractContextManager[DisruptedService]]
    """Runs the service with a state folder and template parameters."""
    chromium_flags: Sequence[str] = ()
    """More flags for Chromium."""
    has_long_outages: bool = False
    """Whether a start of the service may take longer than all pauses of Uppy, so that a person presses Retry."""


@dataclass(frozen=True)
class Run:
    """A client of the proof."""

    upload: Callable[[Upload], None]
    """Uploads to the end."""
    chunk_bytes: int = clients.CHUNK_BYTES
    """Bytes of a request at most."""
    api_bytes: int | None = None
    """Bytes through the API over which the disruptions are spread; None: those of the file."""


def runs(service: DisruptedService, pages_url: str, section: Section) -> Mapping[str, Run]:
    """Return the clients by name."""
    found = {
        "tus-js-client": Run(clients.upload_by_tus_js),
        "@uppy/tus in Chromium": Run(
            partial(upload_by_page, service, f"{pages_url}/{uppy_page.TUS_PAGE}.html", section)
        ),
        "Ferry's plugin for Uppy in Chromium": Run(
            partial(upload_by_page, service, f"{pages_url}/{uppy_page.FERRY_PAGE}.html", section),
            api_bytes=_API_BYTES_OF_PLUGIN,
        ),
    }
    # The smallest chunks, which take longest, come last.
    for size in clients.CHUNK_SIZES:
        for name in clients.PYTHON_CLIENTS:
            found[f"{name}, chunks of {size:,} bytes"] = Run(partial(clients.run_python_client, name), size)
    return found


def upload_by_page(service: DisruptedService, address: str, section: Section, upload: Upload) -> None:
    """Upload by an example page of web/uppy in Chromium."""
    client = service.service.connection_info["clients"][0]
    with sync_playwright() as playwright, uppy_page.browser_context(playwright, section.chromium_flags) as context:
        page = UppyPage(
            context.new_page(), address, service.base_url, str(client["client_id"]), str(client["client_secret"])
        )
        page.open()
        # The page names the file after the local one.
        named = upload.path.with_name(upload.name)
        named.hardlink_to(upload.path)
        page.choose(named)
        page.wait_until_complete(upload.name, _PAGE_TIMEOUT_MS, presses_retry=section.has_long_outages)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if every file arrived whole."""
    parser = argparse.ArgumentParser(prog="make prove-tus-clients", description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=SIZE_BYTES, help="bytes of the file")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        help="run clients whose name contains this, and keep other figures; repeatable, run in this order",
    )
    parser.add_argument(
        "--java-client", type=Path, metavar="DIR", help="run tus-java-client, too, from a checkout of its source"
    )
    parser.add_argument("--sam", action="store_true", help="run the functions in containers behind SAM CLI")
    parser.add_argument("--write", action="store_true", help="write docs/figures/tus-clients.json")
    options = parser.parse_args(arguments)
    clients.install_npm_packages()
    section = SECTIONS[options.sam]
    figures: list[Mapping[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "content.bin"
        expected, pages = _write_content(path, options.size), Path(folder) / "pages"
        uppy_page.build_examples(pages, uppy_page.UPPY_VERSIONS[0])
        with (
            uppy_page.served_folder(pages) as origin,
            section.service(Path(folder) / "state", f"CorsOrigins={origin}") as service,
        ):
            found = dict(runs(service, origin, section))
            if options.java_client is not None:
                found["tus-java-client"] = Run(JavaClient(options.java_client, Path(folder) / "java").upload)
            for name in selected(found, options.only):
                figures.append(_prove(service, found[name], path, expected))
                print(f"{name}: {figures[-1]}", flush=True)
                if options.write:
                    _write(section, name, figures[-1])
    return int(not figures or not all(figure["sha256_equal"] for figure in figures))


def selected(names: Iterable[str], parts: Sequence[str]) -> list[str]:
    """Return the names that contain one of the parts, in the order of the parts; all names without parts."""
    names = list(names)
    return list(dict.fromkeys(name for part in parts or [""] for name in names if part in name))


def _write(section: Section, client: str, figure: Mapping[str, object]) -> None:
    """Write the figures of a client, and keep those of others."""
    kept = read_figures(FIGURES) if figures_path(FIGURES).exists() else {}
    measured = {**figure, "commit": describe_commit(), "date": datetime.now(UTC).date().isoformat()}
    clients_of_section = {**kept.get(section.name, {}).get("clients", {}), client: measured}
    content = {"command": section.command, "clients": clients_of_section}
    write_figures(FIGURES, SECTIONS[False].command, {**kept, section.name: content})


@contextmanager
def _sam_service(state_folder: Path, parameters: str) -> Iterator[DisruptedService]:
    """Build the functions and the image for their containers, and serve them while the context lasts."""
    with docker_running(state_folder.with_name("dockerd.log")):
        start_api.build_image()
        start_api.build()
        with disrupted_sam_service(state_folder, parameters) as service:
            yield service


SECTIONS = {
    False: Section("local_service", "make prove-tus-clients", disrupted_service),
    True: Section(
        "sam_local",
        'make prove-tus-clients ARGS="--sam"',
        _sam_service,
        # SAM CLI adds no CORS headers to responses, which AWS's gateway does.
        chromium_flags=["--disable-web-security"],
        has_long_outages=True,
    ),
}
"""The services, by whether the functions run behind SAM CLI."""


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
        "size_bytes": size,
        "sha256_equal": hashlib.sha256(body).hexdigest() == expected,
        "cuts": DISRUPTIONS.count(Disruption.CUT),
        "kills": DISRUPTIONS.count(Disruption.KILL),
        "seconds": round(seconds, 1),
        "share_of_bytes_through_api": round((service.bytes_sent - sent_before) / size, 3),
    }


if __name__ == "__main__":
    raise SystemExit(main())
