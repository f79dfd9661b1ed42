"""Rounds of SIGKILL during uploads, some on a disk that fills up: each restart has all that was acknowledged.

`make prove-kill` runs them and writes docs/figures/kill.json.
"""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import google_crc32c
import pytest

from dev.local.client import ApiResponse, FerryClient, crc32c_checksum
from dev.local.launcher import LocalService
from tests.e2e.clients import CHUNK_BYTES, MIB, chunk_body, log_in_as, random_bytes, wait_until
from tests.support.small_disk import SmallDisk, mount_small_disk

ROUNDS, FULL_DISK_ROUNDS = 20, 10
WORKERS = 4
BUSY_RESPONSES = 12
DISK_MIB = 400
KEPT_FILES = 20
"""Files of earlier rounds that each round reads again."""
REJECTED = {429, 503, 507}
RecordProperty = Callable[[str, object], None]


@dataclass
class Upload:
    """A file, and what the service acknowledged of it."""

    name: str
    size: int
    seed: int
    upload_id: str = ""
    chunks: set[int] = field(default_factory=set)
    completed: bool = False
    deletion_sent: bool = False
    deleted: bool = False

    @property
    def content(self) -> bytes:
        """The bytes of the file."""
        return random_bytes(self.size, self.seed)

    @property
    def checksum(self) -> dict[str, str]:
        """The file's checksum, as a request has it."""
        return crc32c_checksum(google_crc32c.value(self.content))


class Load:
    """Uploads from several threads, until the service is killed."""

    def __init__(self, api: FerryClient, round_number: int) -> None:
        self._api = api
        self._round = round_number
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(WORKERS)
        self.uploads: list[Upload] = []
        self.statuses: Counter[int] = Counter()
        self._runs = [self._pool.submit(self._run, worker) for worker in range(WORKERS)]

    def wait_until_busy(self) -> None:
        """Wait until the functions have started and some requests were accepted."""
        wait_until(lambda: self.statuses.total() >= BUSY_RESPONSES)

    def stop(self) -> None:
        """Stop the threads, and raise what a thread has raised."""
        self._stopping.set()
        self._pool.shutdown()
        for run in self._runs:
            run.result()

    def _run(self, worker: int) -> None:
        numbers = random.Random(self._round * WORKERS + worker)
        try:
            while not self._stopping.is_set():
                size = numbers.choice((numbers.randint(1, 5_000), numbers.randint(1, 3 * CHUNK_BYTES)))
                upload = Upload(f"{self._round}-{worker}-{len(self.uploads)}", size, numbers.getrandbits(32))
                self.uploads.append(upload)
                self._send(upload, delete=numbers.random() < 0.2)
        except (OSError, http.client.HTTPException):
            pass  # the service was killed

    def _send(self, upload: Upload, *, delete: bool) -> None:
        name, content = upload.name, upload.content
        plan = self._repeat(partial(self._api.start, name, upload.size))
        if plan is None:
            return
        upload.upload_id = plan.json["upload_id"]
        for index in range(1, plan.json["chunk_count"] + 1):
            if self._repeat(partial(self._api.send_chunk, name, index, chunk_body(content, index))) is None:
                return
            upload.chunks.add(index)
        if self._repeat(partial(self._api.complete, name, checksum=upload.checksum)) is None:
            return
        upload.completed = True
        if delete:
            upload.deletion_sent = True
            if self._repeat(partial(self._api.request, "DELETE", f"/files/{name}")) is not None:
                upload.deleted = True

    def _repeat(self, send: Callable[[], ApiResponse]) -> ApiResponse | None:
        """Send a request until it is accepted; return None when the load is to stop."""
        while not self._stopping.is_set():
            response = send()
            self.statuses[response.status] += 1
            if response.status in (200, 201, 204):
                return response
            assert response.status in {*REJECTED, 202}, response.body
            time.sleep(0.1)
        return None


class Checker:
    """Compares what a restarted service has with what was acknowledged."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.kept: list[Upload] = []

    def check(self, api: FerryClient, load: Load) -> None:
        """Check the uploads of a round, complete them, and read files of earlier rounds again."""
        self.counts["rounds"] += 1
        self.counts.update({f"status_{status}": count for status, count in load.statuses.items()})
        found = [upload for upload in load.uploads if self._check_upload(api, upload)]
        for upload in self.kept:
            self._compare(api, upload)
        self.kept = [*self.kept, *found][-KEPT_FILES:]

    def _check_upload(self, api: FerryClient, upload: Upload) -> bool:
        """Check and complete an upload, and return whether there is a file."""
        status = api.status(upload.name)
        if upload.deletion_sent and status.status == 404:
            self.counts["acknowledged_deletions"] += upload.deleted
            return False
        assert not upload.deleted, f"{upload.name} was deleted, and is there"
        if not upload.upload_id and status.status == 404:
            return False
        assert status.status == 200, status.body
        state = status.json["state"]
        if upload.completed:
            self.counts["acknowledged_files"] += 1
            assert state == "complete", f"{upload.name} was complete, and is {state}"
        if state != "complete":
            missing = {index for first, last in status.json["missing"] for index in range(first, last + 1)}
            assert not missing & upload.chunks, f"{upload.name}: acknowledged chunks are missing"
            self.counts["acknowledged_chunks_of_open_uploads"] += len(upload.chunks)
            self._finish(api, upload, missing)
        self._compare(api, upload)
        return True

    def _finish(self, api: FerryClient, upload: Upload, missing: set[int]) -> None:
        for index in sorted(missing):
            sent = api.send_chunk(upload.name, index, chunk_body(upload.content, index))
            assert sent.status == 200, sent.body
        deadline = time.monotonic() + 30.0
        while (completed := api.complete(upload.name, checksum=upload.checksum)).status != 200:
            assert completed.status in (202, 429, 503), completed.body
            assert time.monotonic() < deadline, completed.body
            time.sleep(0.2)

    def _compare(self, api: FerryClient, upload: Upload) -> None:
        assert api.download(upload.name).body == upload.content, f"{upload.name} has other bytes"
        self.counts["compared_files"] += 1
        self.counts["compared_bytes"] += upload.size


def record_counts(record_property: RecordProperty, checker: Checker) -> None:
    for name, count in sorted(checker.counts.items()):
        record_property(name, count)


@pytest.mark.stress
def test_kills_during_uploads_lose_nothing(tmp_path: Path, record_property: RecordProperty) -> None:
    """After each SIGKILL during uploads the next start has every acknowledged chunk, file and deletion."""
    checker = Checker()
    folder = tmp_path / "state"
    service = LocalService(folder)
    try:
        for number in range(ROUNDS):
            load = Load(log_in_as(service, "demo"), number)
            load.wait_until_busy()
            time.sleep(random.Random(number).uniform(0.5, 3.0))
            assert service.kill() >= 4
            load.stop()
            service = LocalService(folder)
            checker.check(log_in_as(service, "demo"), load)
    finally:
        service.kill()
    record_counts(record_property, checker)


def kill_on_full_disk(disk: SmallDisk, number: int, checker: Checker) -> None:
    """Fill the disk during uploads, kill the service then or after there is space again, and check a new start."""
    random_numbers = random.Random(number)
    folder = disk.folder / "state"
    service = LocalService(folder)
    try:
        disk.fill(keep_bytes=160 * MIB)
        load = Load(log_in_as(service, "demo"), 1_000 + number)
        load.wait_until_busy()
        time.sleep(random_numbers.uniform(0.5, 2.0))
        disk.fill()
        time.sleep(random_numbers.uniform(0.5, 2.0))
        if number % 2:
            disk.free()
            checker.counts["used_on_after_full_disk"] += 1
            time.sleep(random_numbers.uniform(2.0, 4.0))
        service.kill()
        load.stop()
        disk.free()
        service = LocalService(folder)
        checker.check(log_in_as(service, "demo"), load)
        checker.kept.clear()
    finally:
        service.kill()


@pytest.mark.stress
def test_kills_on_full_disk_lose_nothing(tmp_path: Path, record_property: RecordProperty) -> None:
    """On a disk that fills up during uploads, the next start also has all that was acknowledged."""
    checker = Checker()
    for number in range(FULL_DISK_ROUNDS):
        with mount_small_disk(tmp_path / f"disk-{number}", DISK_MIB) as disk:
            kill_on_full_disk(disk, number, checker)
    assert checker.counts["status_507"] + checker.counts["status_503"]
    record_counts(record_property, checker)
