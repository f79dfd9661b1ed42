"""The commands that upload a file to the same S3 server: Ferry's two paths, S3's clients, and tus."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dev.bench.errors import BenchError
from dev.bench.process_usage import kind_of
from dev.bench.service import BenchService
from dev.local.launcher import find_processes
from dev.paths import ROOT

BUCKET = "peers"
"""The bucket of S3's clients and tus."""

TUS_FOLDER = ROOT / "dev" / "bench" / "tus"
PART_BYTES = 8 * 1024 * 1024
"""Part size of S3's clients and tus, equal to Ferry's default."""

CHUNK_BYTES = 4 * 1024 * 1024
"""Chunk size of tus, equal to Ferry's default."""

_CLIENT_COMMAND = [sys.executable, "-m", "dev.bench.client"]
_BOTO3_SCRIPT = """
import json, sys, time, boto3
from boto3.s3.transfer import TransferConfig
config = TransferConfig(multipart_threshold=1, multipart_chunksize=int(sys.argv[4]), max_concurrency=4)
client = boto3.client("s3", endpoint_url=sys.argv[1])
started_at = time.perf_counter()
client.upload_file(sys.argv[3], sys.argv[2], "boto3", Config=config)
print(json.dumps({"seconds": time.perf_counter() - started_at}))
"""
_TUSPY_SCRIPT = """
import json, sys, time
from tusclient.client import TusClient
started_at = time.perf_counter()
token = sys.stdin.read()
headers = {"Authorization": f"Bearer {token}"} if token else {}
client = TusClient(sys.argv[1], headers=headers)
uploader = client.uploader(sys.argv[2], chunk_size=int(sys.argv[3]), metadata={"filename": "tus"})
uploader.upload()
print(json.dumps({"seconds": time.perf_counter() - started_at}))
"""
"""A client prints how many seconds the transfer took, without its own start."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to upload the file."""

    name: str
    """The row's title in the table."""

    command: Sequence[str]
    """Uploads the file."""

    env: Mapping[str, str]
    """The whole environment of the command."""

    server_pids: Sequence[int] = ()
    """The processes between the command and the S3 server."""

    stdin: str = ""
    """Written to the command's standard input."""

    senders: int = 1
    """Requests with content at the same time."""


def ferry_contenders(
    service: BenchService, file: Path, round_number: int, chunk_senders: Sequence[int] = (1, 4)
) -> list[Contender]:
    """Return Ferry through the API with each number of senders, and straight to S3 with four.

    Args:
        service: the running service.
        file: the file to upload.
        round_number: part of the file's name in Ferry, so that each round uploads a new file.
        chunk_senders: numbers of senders through the API.
    """
    base_url, token = service.connection_info["base_url"], service.client().token
    server_pids = [pid for pid in find_processes(service.local_service.state_folder) if not _is_s3_server(pid)]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}

    def contender(title: str, path: str, senders: int) -> Contender:
        name = f"{path}-{senders}-{round_number}"
        command = [*_CLIENT_COMMAND, path, base_url, name, str(file), "--senders", str(senders)]
        return Contender(title, command, env, server_pids, token, senders)

    return [
        *(
            contender(f"Ferry, chunks, {count} sender{'s' if count > 1 else ''}", "chunks", count)
            for count in chunk_senders
        ),
        contender("Ferry, parts straight to S3, 4 senders", "parts", 4),
    ]


def s3_contenders(service: BenchService, endpoint: str, file: Path) -> list[Contender]:
    """Return S3's own clients, with Ferry's part size and four connections."""
    env = s3_environment(service)
    s5cmd = str(Path(sys.executable).with_name("s5cmd"))
    copy = ["cp", "--concurrency", "4", "--part-size", str(PART_BYTES >> 20), str(file), f"s3://{BUCKET}/s5cmd"]
    return [
        Contender(
            "boto3 upload_file",
            [sys.executable, "-c", _BOTO3_SCRIPT, endpoint, BUCKET, str(file), str(PART_BYTES)],
            env,
            senders=4,
        ),
        Contender("s5cmd", [s5cmd, "--endpoint-url", endpoint, "--log", "error", *copy], env, senders=4),
    ]


def ferry_tus_contender(service: BenchService, file: Path) -> Contender:
    """Return tuspy as a client of Ferry, with the chunk size that it has as a client of tus-node-server."""
    url, token = f"{service.connection_info['base_url']}/uploads", service.client().token
    server_pids = [pid for pid in find_processes(service.local_service.state_folder) if not _is_s3_server(pid)]
    command = [sys.executable, "-c", _TUSPY_SCRIPT, url, str(file), str(CHUNK_BYTES)]
    return Contender("Ferry, tuspy", command, {"PATH": os.environ["PATH"]}, server_pids, token)


@contextmanager
def tus_contenders(service: BenchService, endpoint: str, file: Path) -> Iterator[list[Contender]]:
    """Run tus-node-server with its S3 store and yield tuspy as its client; yield nothing if npm is not installed."""
    with running_tus(service, endpoint) as server:
        yield [] if server is None else [server.tuspy(file)]


@dataclass(frozen=True, slots=True)
class TusServer:
    """A running tus-node-server with its S3 store."""

    url: str
    """Where uploads are created."""

    pid: int
    """Its process."""

    def tuspy(self, file: Path, chunk_bytes: int = CHUNK_BYTES, suffix: str = "") -> Contender:
        """Return an upload by tuspy, one request after another."""
        command = [sys.executable, "-c", _TUSPY_SCRIPT, self.url, str(file), str(chunk_bytes)]
        return Contender(f"tus-node-server, s3-store, tuspy{suffix}", command, self._env, [self.pid])

    def tus_js(self, file: Path, uploads: int, parallel: int = 1) -> Contender:
        """Return so many uploads at once by tus-js-client, each of an equal share of the file.

        `parallel` is its option `parallelUploads`, which needs tus's concatenation of the server.
        """
        numbers = [str(number) for number in (CHUNK_BYTES, uploads, parallel)]
        command = ["node", str(TUS_FOLDER / "upload.mjs"), self.url, str(file), *numbers]
        title = f"tus-js-client, {uploads} upload{'s at once' if uploads > 1 else ''}"
        return Contender(title, command, self._env, [self.pid], senders=uploads * parallel)

    @property
    def _env(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"]}


@contextmanager
def running_tus(service: BenchService, endpoint: str) -> Iterator[TusServer | None]:
    """Run tus-node-server on an S3 endpoint; yield None if npm is not installed. Raises `BenchError`."""
    if shutil.which("npm") is None:
        yield None
        return
    _install_tus()
    command = ["node", str(TUS_FOLDER / "server.mjs"), endpoint, BUCKET, str(PART_BYTES)]
    server = subprocess.Popen(command, env=s3_environment(service), stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        if not url:
            raise BenchError("tus-node-server did not start")
        yield TusServer(url, server.pid)
    finally:
        server.terminate()
        server.wait()


def _install_tus() -> None:
    if (TUS_FOLDER / "node_modules" / "tus-js-client").is_dir():
        return
    completed = subprocess.run(
        ["npm", "ci", "--silent", "--ignore-scripts"], cwd=TUS_FOLDER, capture_output=True, text=True, check=False
    )
    if completed.returncode:
        raise BenchError(f"npm could not install tus-node-server: {completed.stderr[-1000:]}")


def s3_environment(service: BenchService) -> dict[str, str]:
    """Return an environment with the backends' access key."""
    return {"PATH": os.environ["PATH"], "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"} | (
        service.credentials
    )


def _is_s3_server(pid: int) -> bool:
    """Return whether a process is SeaweedFS or stands in front of it."""
    return kind_of(pid) in ("S3", "S3 proxy", "network model")
