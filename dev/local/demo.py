"""Show a transfer with a break in the middle, through a service of its own (`make demo`).

The exit code is 0 only if the downloaded file is the uploaded one.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import google_crc32c
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from dev.local.client import (
    FerryClient,
    UnexpectedResponseError,
    crc32c_checksum,
    expect,
    iter_body,
    open_url,
    put_part,
    quote_filename,
)
from dev.local.errors import LocalError
from dev.local.launcher import LocalService, find_processes

MB = 1_000_000
MIB = 1024 * 1024
CONCURRENCY = 4
RANGE_BYTES = 4 * MIB
PRESIGN_BATCH = 100
# The file, its staged chunks, its parts, the object, and the download.
_DISK_SPACE_FACTOR = 5

T = TypeVar("T")
R = TypeVar("R")


class ContentMismatch(Exception):
    """The downloaded bytes, or what the service reports, differ from what was sent."""


class Source:
    """A file of random bytes, with its checksums."""

    def __init__(self, path: Path, size: int, on_progress: Callable[[int], None]) -> None:
        self.path = path
        self.size = size
        sha256, crc = hashlib.sha256(), google_crc32c.Checksum()
        with path.open("wb") as file:
            for start in range(0, size, MIB):
                data = os.urandom(min(MIB, size - start))
                file.write(data)
                sha256.update(data)
                crc.update(data)
                on_progress(len(data))
        self.sha256 = sha256.hexdigest()
        self.checksum = crc32c_checksum(int.from_bytes(crc.digest(), "big"))

    def read(self, first: int, length: int) -> bytes:
        """Return bytes of the file."""
        with self.path.open("rb") as file:
            file.seek(first)
            return file.read(length)


class Demo:
    """The steps of the demonstration. They use the documented HTTP API only."""

    def __init__(self, folder: Path, size: int, console: Console) -> None:
        self._folder = folder
        self._size = size
        self._console = console
        self._started_monotonic = time.monotonic()
        self._service: LocalService | None = None

    def run(self) -> None:
        """Run all steps.

        Raises:
            ContentMismatch, UnexpectedResponseError, LocalError, OSError: a step failed.
        """
        with self._progress_bar("writing", self._size) as advance:
            source = Source(self._folder / "source.bin", self._size, advance)
        self._print(f"a file of {self._size:,} random bytes, SHA-256 {source.sha256[:16]}…")
        name = f"holiday film, {self._size // MB} MB.bin"

        api = self._start_service()
        plan = expect(api.start(name, self._size, checksum=source.checksum), 201, "start").json
        self._print(
            f"started upload {plan['upload_id'][:8]}…: {plan['chunk_count']} chunks of {plan['chunk_size']:,} bytes, "
            f"in {plan['part_count']} S3 parts"
        )
        accepted = self._send_half(api, name, source, plan)

        api = self._start_service()
        status = expect(api.status(name), 200, "status").json
        missing = _expand_ranges(status["missing"])
        _require_equal("the acknowledged chunks that are missing", set(), accepted & set(missing))
        self._print(
            f"status: {status['percent']} % received, {len(missing)} of {status['chunk_count']} chunks missing, every "
            "acknowledged chunk kept"
        )
        self._send_missing(api, name, source, plan, missing)
        self._complete(api, name, source)
        self._download_whole(api, name, source)
        self._download_ranges(api, name, source)

    def close(self) -> None:
        """Stop the service. Raises `LocalError` when one of its processes still runs."""
        if self._service is None:
            return
        self._service.stop()
        remaining = find_processes(self._service.state_folder)
        if remaining:
            raise LocalError(f"processes still run after the stop: {remaining}")
        self._print("stopped; no process is left")

    def _start_service(self) -> FerryClient:
        action = "started Ferry" if self._service is None else "started it again"
        started_at = time.monotonic()
        self._service = LocalService(self._folder / "state")
        connection_info = self._service.connection_info
        base_url = connection_info["base_url"]
        self._print(f"{action} in {time.monotonic() - started_at:.1f} s: {base_url}")
        client = connection_info["clients"][0]
        return FerryClient(base_url).authenticate(client["client_id"], client["client_secret"])

    def _send_half(self, api: FerryClient, name: str, source: Source, plan: dict[str, Any]) -> set[int]:
        """Send chunks in random order, four at a time. After half of them kill every process."""
        assert self._service is not None
        order = list(range(1, plan["chunk_count"] + 1))
        random.shuffle(order)
        accepted: set[int] = set()
        broken = killed = 0

        def send(index: int) -> tuple[int, int]:
            return index, _send_chunk(api, name, source, plan, index)

        with self._progress_bar("chunks", self._size) as advance, closing(_run_concurrently(send, order)) as sending:
            for done in sending:
                try:
                    index, length = done.result()
                except (OSError, http.client.HTTPException):
                    if not killed:
                        raise
                    broken += 1
                    if broken == CONCURRENCY - 1:
                        break
                    continue
                accepted.add(index)
                advance(length)
                if not killed and len(accepted) * 2 >= len(order):
                    killed = self._service.kill()
        self._print(
            f"kill -9 to all {killed} processes: {len(accepted)} chunks were acknowledged, {broken} were being sent"
        )
        return accepted

    def _send_missing(
        self, api: FerryClient, name: str, source: Source, plan: dict[str, Any], missing: Sequence[int]
    ) -> None:
        """Send parts of which nothing was received straight to S3, and the other chunks through the API."""
        per_part = plan["chunks_per_part"]
        missing_of_part: dict[int, list[int]] = {}
        for index in missing:
            missing_of_part.setdefault((index - 1) // per_part + 1, []).append(index)
        direct = [
            number for number, indexes in missing_of_part.items() if len(indexes) == len(_part_chunks(plan, number))
        ] or list(missing_of_part)[:1]
        chunks = [index for number, indexes in missing_of_part.items() if number not in direct for index in indexes]

        parts = []
        for at in range(0, len(direct), PRESIGN_BATCH):
            requested = [
                {"part_number": number, "checksum": _part_checksum(source, plan, number)}
                for number in direct[at : at + PRESIGN_BATCH]
            ]
            parts += expect(api.post("/upload/parts", filename=name, parts=requested), 200, "parts").json["parts"]

        def send_part(signed: dict[str, Any]) -> int:
            body = source.read((signed["part_number"] - 1) * plan["part_size"], signed["size"])
            expect(put_part(signed, body), 200, f"part {signed['part_number']}")
            return len(body)

        def send_chunk(index: int) -> int:
            return _send_chunk(api, name, source, plan, index)

        self._run_with_progress(f"{len(parts)} parts straight to S3", sum(p["size"] for p in parts), send_part, parts)
        self._run_with_progress(
            f"{len(chunks)} chunks", sum(_chunk_length(plan, index) for index in chunks), send_chunk, chunks
        )
        self._print(f"sent the rest: {len(parts)} parts straight to S3, {len(chunks)} chunks through the API")

    def _complete(self, api: FerryClient, name: str, source: Source) -> None:
        while (response := api.complete(name, checksum=source.checksum)).status == 202:
            time.sleep(int(response.headers["retry-after"]))
        file = expect(response, 200, "complete").json
        _require_equal("the size of the completed file", self._size, file["size"])
        _require_equal("the CRC32C of the completed file", source.checksum, file["checksum"])
        self._print(f"complete: etag {file['etag']}, CRC32C {file['checksum']['value']} as sent")

    def _download_whole(self, api: FerryClient, name: str, source: Source) -> None:
        redirect = expect(api.request("GET", f"/download/{quote_filename(name)}"), 307, "download")
        sha256 = hashlib.sha256()
        with (
            self._progress_bar("whole download", self._size) as advance,
            open_url("GET", redirect.headers["location"]) as response,
        ):
            for data in iter_body(response):
                sha256.update(data)
                advance(len(data))
        _require_equal("the SHA-256 of the whole download", source.sha256, sha256.hexdigest())
        self._print(f"downloaded whole:      SHA-256 {sha256.hexdigest()[:16]}… is the same")

    def _download_ranges(self, api: FerryClient, name: str, source: Source) -> None:
        """Download the file in ranges, four at a time; then a long range, which S3 serves, and the last bytes."""
        spans = [(first, min(first + RANGE_BYTES, self._size) - 1) for first in range(0, self._size, RANGE_BYTES)]
        sha256 = hashlib.sha256()

        def fetch(span: tuple[int, int]) -> bytes:
            return expect(api.download(name, f"bytes={span[0]}-{span[1]}"), 206, f"range {span}").body

        with self._progress_bar("by ranges", self._size) as advance, ThreadPoolExecutor(CONCURRENCY) as pool:
            for at in range(0, len(spans), CONCURRENCY):
                for body in pool.map(fetch, spans[at : at + CONCURRENCY]):
                    sha256.update(body)
                    advance(len(body))
        _require_equal("the SHA-256 of all ranges", source.sha256, sha256.hexdigest())
        first = self._size // 3
        length = min(20 * MIB, self._size - first)
        _require_equal("a long range", source.read(first, length), fetch((first, first + length - 1)))
        tail = expect(api.download(name, "bytes=-1000"), 206, "the last bytes").body
        _require_equal("the last bytes", source.read(self._size - 1000, 1000), tail)
        self._print(f"downloaded by {len(spans)} ranges: SHA-256 {sha256.hexdigest()[:16]}… is the same")

    def _run_with_progress(self, label: str, total_bytes: int, work: Callable[[T], int], items: Sequence[T]) -> None:
        if not items:
            return
        with self._progress_bar(label, total_bytes) as advance, closing(_run_concurrently(work, items)) as running:
            for done in running:
                advance(done.result())

    @contextmanager
    def _progress_bar(self, label: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
        columns = (TextColumn("         {task.description:<22}"), BarColumn(18), DownloadColumn())
        with Progress(*columns, TransferSpeedColumn(), console=self._console) as progress:
            task = progress.add_task(label, total=total_bytes)
            yield lambda length: progress.advance(task, length)

    def _print(self, text: str) -> None:
        self._console.print(
            f"{time.monotonic() - self._started_monotonic:6.1f} s  {text}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _run_concurrently(work: Callable[[T], R], items: Iterable[T]) -> Generator[Future[R], None, None]:
    """Do the work on each item, four at a time, and yield each when done. Closing the generator stops the rest."""
    pool = ThreadPoolExecutor(CONCURRENCY)
    try:
        yield from as_completed([pool.submit(work, item) for item in items])
    finally:
        pool.shutdown(cancel_futures=True)


def _send_chunk(api: FerryClient, name: str, source: Source, plan: dict[str, Any], index: int) -> int:
    body = source.read((index - 1) * plan["chunk_size"], _chunk_length(plan, index))
    expect(api.send_chunk(name, index, body, upload_id=plan["upload_id"]), 200, f"chunk {index}")
    return len(body)


def _chunk_length(plan: dict[str, Any], index: int) -> int:
    return int(min(plan["chunk_size"], plan["size"] - (index - 1) * plan["chunk_size"]))


def _part_chunks(plan: dict[str, Any], number: int) -> range:
    first = (number - 1) * plan["chunks_per_part"] + 1
    return range(first, min(first + plan["chunks_per_part"], plan["chunk_count"] + 1))


def _part_checksum(source: Source, plan: dict[str, Any], number: int) -> dict[str, str]:
    return crc32c_checksum(google_crc32c.value(source.read((number - 1) * plan["part_size"], plan["part_size"])))


def _expand_ranges(ranges: Iterable[tuple[int, int]]) -> list[int]:
    return [number for first, last in ranges for number in range(first, last + 1)]


def _require_equal(subject: str, expected: object, actual: object) -> None:
    if expected != actual:
        raise ContentMismatch(f"{subject} differs: sent {_summarize(expected)}, got {_summarize(actual)}")


def _summarize(value: object) -> str:
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration. Exit codes: 0 the bytes are the same, 1 they are not, 2 wrong usage, 130 interrupted."""
    options = _parser().parse_args(arguments)
    console = Console()
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    size = options.size * MB
    started_at = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="ferry-demo-") as name:
            folder = Path(name)
            _check_disk_space(folder, size)
            demo = Demo(folder, size, console)
            try:
                demo.run()
            finally:
                demo.close()
    except KeyboardInterrupt:
        print("interrupted; everything was stopped and removed", file=sys.stderr)
        return 130
    except (ContentMismatch, UnexpectedResponseError, LocalError, OSError, http.client.HTTPException) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    console.print(
        f"The downloaded file equals the uploaded one: {options.size} MB in {time.monotonic() - started_at:.1f} s.",
        highlight=False,
    )
    return 0


def _check_disk_space(folder: Path, size: int) -> None:
    if shutil.disk_usage(folder).free < size * _DISK_SPACE_FACTOR:
        raise LocalError(
            f"the demo needs {size * _DISK_SPACE_FACTOR // MB} MB in {folder.parent}: free some, choose a smaller "
            "--size, or name another folder with TMPDIR"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dev.local.demo",
        description="Start Ferry on free ports with a state folder of its own. Upload a file of random bytes, four "
        "chunks at a time and out of order. Kill every process half way and start again. Send what is missing, some "
        "of it straight to S3. Complete, download whole and by ranges, compare. Everything is removed at the end.",
    )
    parser.add_argument("--size", type=_parse_megabytes, default=320, help="size of the file in MB (320)")
    return parser


def _parse_megabytes(text: str) -> int:
    number = int(text)
    if number < 20:
        raise argparse.ArgumentTypeError(f"{text} is too small: give 20 or more, so that the upload can be interrupted")
    return number


if __name__ == "__main__":
    sys.exit(main())
