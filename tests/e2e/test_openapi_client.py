"""A client that openapi-python-client generates from docs/openapi.json passes mypy and moves a file."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from dev.paths import ROOT
from tests.e2e.clients import ServiceUnderTest

PACKAGE = "generated_ferry"
GENERATOR_CONFIG = """\
post_hooks: []
content_type_overrides:
  application/offset+octet-stream: application/octet-stream
  application/partial-upload: application/octet-stream
"""
"""Generated modules are not formatted. The generator takes the media types of the resumable protocols for bytes."""
MYPY_CONFIG = f"""\
[mypy]
strict = true

# The generator passes `*args: object` on to httpx, whatever the document says.
[mypy-{PACKAGE}.client]
ignore_errors = true
"""
PROGRAM = f"""\
import base64
from io import BytesIO
import json
import os
import sys

from {PACKAGE} import AuthenticatedClient
from {PACKAGE}.api.auth import issue_token
from {PACKAGE}.api.downloads import download_file, get_file_headers
from {PACKAGE}.api.files import delete_file_by_query, list_files
from {PACKAGE}.api.status import get_status
from {PACKAGE}.api.uploads import complete_upload, send_chunk, start_upload
from {PACKAGE}.models import (
    AccessToken, ChunkProgress, CompleteBody, FileBody, FileList, Problem, ProblemCode, StartBody, StatusBody,
    TokenForm, TokenFormGrantType, TokenRequest, TokenRequestGrantType, UploadPlan, UploadStatus,
)
from {PACKAGE}.types import File

NAME = "generated client é #1.bin"
CONTENT = os.urandom(65_536 + 5)

service = json.load(sys.stdin)
pair = base64.b64encode((service["client_id"] + ":" + service["client_secret"]).encode()).decode()
basic = AuthenticatedClient(base_url=service["base_url"], token=pair, prefix="Basic")
token = issue_token.sync(client=basic, body=TokenForm(TokenFormGrantType.CLIENT_CREDENTIALS))
assert isinstance(token, AccessToken), token
json_body = TokenRequest(TokenRequestGrantType.CLIENT_CREDENTIALS, scope="files:read")
narrow = issue_token.sync(client=basic, body=json_body)
assert isinstance(narrow, AccessToken) and narrow.scope == "files:read", narrow
client = AuthenticatedClient(base_url=service["base_url"], token=token.access_token)

plan = start_upload.sync(client=client, body=StartBody(filename=NAME, size=len(CONTENT), chunk_size=65_536))
assert isinstance(plan, UploadPlan), plan
assert (plan.chunk_count, plan.state) == (2, UploadStatus.PENDING)
conflict = start_upload.sync(client=client, body=StartBody(filename=NAME, size=1))
assert isinstance(conflict, Problem), conflict
assert (conflict.code, conflict.upload_id) == (ProblemCode.UPLOAD_IN_PROGRESS, plan.upload_id)

for index in range(1, plan.chunk_count + 1):
    data = CONTENT[(index - 1) * plan.chunk_size : index * plan.chunk_size]
    progress = send_chunk.sync(
        client=client, body=File(BytesIO(data)), filename=NAME, chunk_index=index, upload_id=plan.upload_id
    )
    assert isinstance(progress, ChunkProgress), progress
status = get_status.sync(NAME, client=client)
assert isinstance(status, StatusBody), status
assert (status.state, status.missing, status.percent) == (UploadStatus.PARTIAL, [], 100.0)

file = complete_upload.sync(client=client, body=CompleteBody(filename=NAME))
assert isinstance(file, FileBody), file
listed = list_files.sync(client=client, prefix=NAME)
assert isinstance(listed, FileList) and listed.files == [file], listed

download = download_file.sync(NAME, client=client)
assert isinstance(download, File), download
assert download.payload.read() == CONTENT
part = download_file.sync(NAME, client=client, range_="bytes=65536-")
assert isinstance(part, File), part
assert part.payload.read() == CONTENT[65_536:]
assert get_file_headers.sync_detailed(NAME, client=client).headers["etag"] == file.etag

assert delete_file_by_query.sync_detailed(client=client, filename=NAME).status_code == 204
missing = download_file.sync(NAME, client=client)
assert isinstance(missing, Problem) and missing.code is ProblemCode.NOT_FOUND, missing
"""


@pytest.fixture(scope="module")
def client_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the generated package, and a program beside it that uses the package."""
    if importlib.util.find_spec("openapi_python_client") is None:
        pytest.fail("openapi-python-client is not installed; run `make venv`")
    folder = tmp_path_factory.mktemp("openapi")
    (folder / "generator.yaml").write_text(GENERATOR_CONFIG, encoding="utf-8")
    (folder / "mypy.ini").write_text(MYPY_CONFIG, encoding="utf-8")
    (folder / "program.py").write_text(PROGRAM, encoding="utf-8")
    run(
        folder,
        *("openapi_python_client", "generate", "--path", str(ROOT / "docs/openapi.json"), "--meta", "none"),
        *("--output-path", PACKAGE, "--config", "generator.yaml", "--fail-on-warning"),
    )
    return folder


def run(folder: Path, module: str, *arguments: str, stdin: str = "") -> None:
    """Run a module in the folder; fail with its output unless it exits with 0."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(
        command, cwd=folder, input=stdin, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False
    )
    assert done.returncode == 0, f"{module} failed:\n{done.stdout}{done.stderr}"


@pytest.mark.stress
def test_generated_client_passes_type_check(client_folder: Path) -> None:
    """`mypy --strict` accepts every module of the package, and a program that uses it."""
    run(client_folder, "mypy", PACKAGE, "program.py", "--cache-dir", ".cache")


def test_generated_client_moves_file_up_and_down(client_folder: Path, service: ServiceUnderTest) -> None:
    """The program gets a token, uploads a file in two chunks, downloads it and a range of it, and deletes it."""
    info = service.connection_info
    account = info["clients"][0]
    settings = {"base_url": info["base_url"], **{name: account[name] for name in ("client_id", "client_secret")}}
    run(client_folder, "program", stdin=json.dumps(settings))
