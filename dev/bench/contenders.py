"""The ways a file gets to the same S3 server: Ferry's two, and its peers'. Each is a command."""

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
from dev.bench.service import BenchService
from dev.local.launcher import find_processes
from dev.paths import ROOT

BUCKET = "peers"
TUS_FOLDER = ROOT / "dev" / "bench" / "tus"
PART_BYTES = 8 * 1024 * 1024
CHUNK_BYTES = 4 * 1024 * 1024
_CLIENT_COMMAND = [sys.executable, "-m", "dev.bench.client"]
_BOTO3_SCRIPT = """
import sys, boto3
from boto3.s3.transfer import TransferConfig
config = TransferConfig(multipart_threshold=1, multipart_chunksize=int(sys.argv[4]), max_concurrency=4)
boto3.client("s3", endpoint_url=sys.argv[1]).upload_file(sys.argv[3], sys.argv[2], "boto3", Config=config)
"""
_TUSPY_SCRIPT = """
import sys
from tusclient.client import TusClient
uploader = TusClient(sys.argv[1]).uploader(sys.argv[2], chunk_size=int(sys.argv[3]), metadata={"filename": "tus"})
uploader.upload()
"""


@dataclass(frozen=True, slots=True)
class Contender:
    """`command` sends the file; `serving` are the processes between it and the S3 server."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    server_pids: Sequence[int] = ()
    stdin: str = ""


def ferry_contenders(service: BenchService, file: Path, round_number: int) -> list[Contender]:
    """Through the API with one and four senders, and straight to S3 with four; `number` makes the names new."""
    base, token = service.connection_info["base_url"], service.client().token
    serving = [pid for pid in find_processes(service.local_service.state_folder) if not _is_s3_server(pid)]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}

    def way(title: str, path: str, senders: int) -> Contender:
        name = f"{path}-{senders}-{round_number}"
        return Contender(
            title, [*_CLIENT_COMMAND, path, base, name, str(file), "--senders", str(senders)], env, serving, token
        )

    return [
        way("Ferry, chunks, 1 sender", "chunks", 1),
        way("Ferry, chunks, 4 senders", "chunks", 4),
        way("Ferry, parts straight to S3, 4 senders", "parts", 4),
    ]


def s3_contenders(service: BenchService, endpoint: str, file: Path) -> list[Contender]:
    """S3's own clients, in parts as large as Ferry's, four at a time."""
    env = _s3_environment(service)
    s5cmd = str(Path(sys.executable).with_name("s5cmd"))
    copy = ["cp", "--concurrency", "4", "--part-size", str(PART_BYTES >> 20), str(file), f"s3://{BUCKET}/s5cmd"]
    return [
        Contender(
            "boto3 upload_file",
            [sys.executable, "-c", _BOTO3_SCRIPT, endpoint, BUCKET, str(file), str(PART_BYTES)],
            env,
        ),
        Contender("s5cmd", [s5cmd, "--endpoint-url", endpoint, "--log", "error", *copy], env),
    ]


@contextmanager
def tus_contenders(service: BenchService, endpoint: str, file: Path) -> Iterator[list[Contender]]:
    """tus-node-server with its S3 store, and tuspy; nothing where there is no Node to run it with."""
    if shutil.which("npm") is None:
        yield []
        return
    _install_tus()
    command = ["node", str(TUS_FOLDER / "server.mjs"), endpoint, BUCKET, str(PART_BYTES)]
    server = subprocess.Popen(command, env=_s3_environment(service), stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        if not url:
            raise BenchError("tus-node-server did not start")
        sending = [sys.executable, "-c", _TUSPY_SCRIPT, url, str(file), str(CHUNK_BYTES)]
        yield [Contender("tus-node-server, s3-store, tuspy", sending, {"PATH": os.environ["PATH"]}, [server.pid])]
    finally:
        server.terminate()
        server.wait()


def _install_tus() -> None:
    if (TUS_FOLDER / "node_modules").is_dir():
        return
    done = subprocess.run(
        ["npm", "ci", "--silent", "--ignore-scripts"], cwd=TUS_FOLDER, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BenchError(f"npm could not install tus-node-server: {done.stderr[-1000:]}")


def _s3_environment(service: BenchService) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"} | (
        service.credentials
    )


def _is_s3_server(pid: int) -> bool:
    return b"weed" in Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0]
