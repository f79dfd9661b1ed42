"""Upload a large file in the console, and measure the browser's memory: `python -m dev.bench.console_upload [--write]`.

Chromium sends a sparse file with some random blocks to a local service. The command fails if the browser's processes
grow by more than `MAX_GROWTH_MB`, or if the file has another CRC32C on the service than on the disk.
"""

from __future__ import annotations

import argparse
import base64
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright

from dev.bench.browser_memory import memory_by_kind
from dev.figures import write_figures
from dev.local.client import FerryClient
from dev.local.launcher import LocalService
from ferry.rules.digests import crc32c

CHROMIUM = "/usr/bin/chromium"
MB = 1_000_000
MAX_GROWTH_MB = 100
"""Memory that the browser may need during an upload beyond that of the open page."""

NAME = "large.bin"
RANDOM_BLOCKS = 64
BLOCK_BYTES = 1024 * 1024
SAMPLE_MS = 500
SETTLE_MS = 5_000
"""Time in which the open page comes to rest before it is measured."""
PROGRESS_SECONDS = 15
TIMEOUT_SECONDS = 1800


def make_file(path: Path, size: int) -> None:
    """Make a sparse file with random blocks, the last bytes included."""
    source = random.Random(size)
    with path.open("wb") as file:
        file.truncate(size)
        for first in [*(source.randrange(size) for _ in range(RANDOM_BLOCKS)), size - BLOCK_BYTES]:
            file.seek(min(first, size - BLOCK_BYTES))
            file.write(source.randbytes(BLOCK_BYTES))


def checksum_of(path: Path) -> str:
    """Return the CRC32C of a file, in base64."""
    crc = 0
    with path.open("rb") as file:
        while piece := file.read(16 * BLOCK_BYTES):
            crc = crc32c(piece, crc)
    return base64.b64encode(crc.to_bytes(4, "big")).decode()


def sign_in(page: Page, connection_info: dict[str, Any]) -> None:
    """Sign in as the first client."""
    client = connection_info["clients"][0]
    page.goto(f"{connection_info['base_url']}/console")
    page.get_by_label("Client id").fill(client["client_id"])
    page.get_by_label("Client secret").fill(client["client_secret"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible(timeout=TIMEOUT_SECONDS * 1000)


def upload(page: Page, source: Path, profile: Path) -> list[Counter[str]]:
    """Upload the file, and return the memory by kind of process at each sample."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Upload files").click()
    chooser.value.set_files(source)
    status = page.locator("li.card", has_text=NAME).first.locator("div").last
    samples: list[Counter[str]] = []
    started_at = said_at = time.monotonic()
    while time.monotonic() - started_at < TIMEOUT_SECONDS:
        page.wait_for_timeout(SAMPLE_MS)
        samples.append(memory_by_kind(profile))
        text = status.inner_text()
        if time.monotonic() - said_at > PROGRESS_SECONDS:
            said_at = time.monotonic()
            print(f"{text}: {samples[-1].total() / MB:.0f} MB", flush=True)
        if text.startswith("complete"):
            return samples
        if text.startswith(("failed", "The name")):
            break
    raise SystemExit(f"The upload did not complete: {status.inner_text()}")


def growth_of(baseline: Counter[str], samples: list[Counter[str]]) -> dict[str, Any]:
    """Return how the browser's memory grew, in MB."""
    totals = [round((sample.total() - baseline.total()) / MB, 1) for sample in samples]
    third = max(1, len(totals) // 3)
    kinds = sorted({kind for sample in samples for kind in sample})
    return {
        "baseline_mb": round(baseline.total() / MB, 1),
        "peak_growth_mb": max(totals),
        "median_growth_mb": statistics.median(totals),
        "median_growth_of_first_third_mb": statistics.median(totals[:third]),
        "median_growth_of_last_third_mb": statistics.median(totals[-third:]),
        "peak_growth_by_process_mb": {
            kind: round(max(sample[kind] - baseline[kind] for sample in samples) / MB, 1) for kind in kinds
        },
        "samples": len(samples),
    }


def measure(folder: Path, size: int) -> dict[str, Any]:
    """Upload a file of this size, and return the figures."""
    source, profile = folder / NAME, folder / "profile"
    make_file(source, size)
    service = LocalService(folder / "state")
    try:
        with sync_playwright() as playwright:
            context = playwright.chromium.launch_persistent_context(
                profile, executable_path=CHROMIUM, args=["--no-sandbox"]
            )
            page = context.new_page()
            sign_in(page, service.connection_info)
            page.wait_for_timeout(SETTLE_MS)
            baseline = memory_by_kind(profile)
            started_at = time.monotonic()
            samples = upload(page, source, profile)
            seconds = time.monotonic() - started_at
            version = context.browser.version if context.browser else ""
            context.close()
        client = service.connection_info["clients"][0]
        api = FerryClient(service.connection_info["base_url"])
        record = api.authenticate(client["client_id"], client["client_secret"]).request("GET", f"/files/{NAME}").json
    finally:
        service.stop()
    return {
        "browser": version,
        "bytes": size,
        "seconds": round(seconds, 1),
        "is_same": record["size"] == size and record["checksum"]["value"] == checksum_of(source),
        **growth_of(baseline, samples),
    }


def main() -> int:
    """Measure, and print and write the figures. Return 1 if the memory grew too much, or the bytes differ."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=float, default=10_000, help="MB of the file")
    parser.add_argument("--write", action="store_true", help="write docs/figures/console-upload.json")
    options = parser.parse_args()
    if not shutil.which(CHROMIUM):
        raise SystemExit(f"{CHROMIUM} is not there. On Debian run: apt-get install chromium")
    with tempfile.TemporaryDirectory() as temporary:
        figures = measure(Path(temporary), int(options.size * MB))
    print(figures)
    if options.write:
        print(f"wrote {write_figures('console-upload', 'make prove-console-upload', figures)}")
    return 0 if figures["is_same"] and figures["peak_growth_mb"] <= MAX_GROWTH_MB else 1


if __name__ == "__main__":
    sys.exit(main())
