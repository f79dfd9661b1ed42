"""examples/curl: each script is run by `sh`."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from dev.local.client import FerryClient
from dev.local.launcher import LocalService
from dev.paths import ROOT
from tests.examples.conftest import CHUNKED_SIZE_BYTES, Credentials
from tests.examples.recording_proxy import RecordingProxy, documented_routes

SCRIPTS = ROOT / "examples/curl"


class Shell:
    """Runs the scripts in a folder of their own, with the client's variables."""

    def __init__(self, credentials: Credentials, folder: Path) -> None:
        self.folder = folder
        self._environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", **credentials.environment()}

    def run(self, script: str, *arguments: str) -> str:
        """Return what the script prints. It must succeed."""
        return self._run(str(SCRIPTS / script), *arguments)

    def run_text(self, script: str) -> str:
        """Return what these commands print. They must succeed."""
        return self._run("-euc", script)

    def _run(self, *arguments: str) -> str:
        run = subprocess.run(
            [str(shutil.which("sh")), *arguments],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout


@pytest.fixture
def shell(credentials: Credentials, tmp_path: Path) -> Shell:
    return Shell(credentials, tmp_path)


def test_token_script_prints_usable_token(shell: Shell, client: FerryClient) -> None:
    """The printed token opens a protected route."""
    token = shell.run("token.sh").strip()
    assert FerryClient(client.base_url, token).request("GET", "/files").status == 200


def test_discovery_script_reads_public_documents(shell: Shell) -> None:
    """Health and keys are printed, the API description is a file."""
    output = shell.run("discovery.sh")
    assert '"status":"ok"' in output
    assert '"keys"' in output
    assert json.loads((shell.folder / "openapi.json").read_text(encoding="utf-8"))["openapi"]


def test_upload_script_uploads_and_repeats(shell: Shell, client: FerryClient, source: Path, name: str) -> None:
    """The file arrives byte for byte; a second run finds it there."""
    assert '"state":"complete"' in shell.run("upload.sh", str(source))
    assert client.download(name).body == source.read_bytes()
    assert "already there" in shell.run("upload.sh", str(source))


def test_upload_script_resumes_unfinished_upload(shell: Shell, client: FerryClient, source: Path, name: str) -> None:
    """Chunks that are there already are not sent again: the upload keeps its id."""
    about = source.stat()
    fingerprint = f"{about.st_ino}-{about.st_mtime_ns}"
    plan = client.start(name, CHUNKED_SIZE_BYTES, fingerprint=fingerprint).json
    client.send_chunk(name, 2, source.read_bytes()[4_194_304:8_388_608])
    assert json.loads(shell.run("upload.sh", str(source)))["upload_id"] == plan["upload_id"]
    assert client.download(name).body == source.read_bytes()


def test_upload_parts_script_uploads(shell: Shell, client: FerryClient, source: Path, name: str) -> None:
    """Parts sent to S3 make the same bytes."""
    assert '"state":"complete"' in shell.run("upload_parts.sh", str(source))
    assert client.download(name).body == source.read_bytes()


def test_status_script_shows_progress(shell: Shell, client: FerryClient, source: Path, name: str) -> None:
    """One chunk of three is there; a repeated request gets 304; the list names the upload."""
    client.start(name, CHUNKED_SIZE_BYTES)
    client.send_chunk(name, 1, source.read_bytes()[:4_194_304])
    output = shell.run("status.sh", name)
    assert '"missing":[[2,3]]' in output
    assert "304" in output
    assert '"uploads"' in output


def test_cancel_script_cancels(shell: Shell, client: FerryClient, name: str) -> None:
    """The upload is cancelled, and the script may be repeated."""
    client.start(name, 1)
    shell.run("cancel.sh", name)
    shell.run("cancel.sh", name)
    assert client.status(name).json["state"] == "cancelled"


def test_download_script_downloads_and_resumes(shell: Shell, source: Path, name: str) -> None:
    """A target that was cut off is continued; a target of another version is replaced."""
    shell.run("upload.sh", str(source))
    shell.run("download.sh", name, "copy.bin")
    copy = shell.folder / "copy.bin"
    assert copy.read_bytes() == source.read_bytes()
    copy.write_bytes(source.read_bytes()[:1_000_000])
    shell.run("download.sh", name, "copy.bin")
    assert copy.read_bytes() == source.read_bytes()
    copy.write_bytes(b"another file")
    (shell.folder / "copy.bin.etag").write_text('"other"\n', encoding="ascii")
    shell.run("download.sh", name, "copy.bin")
    assert copy.read_bytes() == source.read_bytes()


def test_download_range_script_downloads_range(shell: Shell, source: Path, name: str) -> None:
    """Exactly the bytes that were asked for, across the boundary of two chunks."""
    shell.run("upload.sh", str(source))
    shell.run("download_range.sh", name, "4194000-4194999", "range.bin")
    assert (shell.folder / "range.bin").read_bytes() == source.read_bytes()[4_194_000:4_195_000]


def test_files_script_lists_and_deletes(shell: Shell, client: FerryClient, name: str) -> None:
    """Three files take two pages; the named one is deleted."""
    names = [f"{name}-{number}" for number in range(3)]
    for each in names:
        client.start(each, 0)
        client.complete(each)
    assert shell.run("files.sh", name, names[0]).splitlines() == [f"0 {each}" for each in names]
    assert shell.run("files.sh", name).splitlines() == [f"0 {each}" for each in names[1:]]


def test_put_file_script_stores_and_changes(shell: Shell, client: FerryClient, name: str) -> None:
    """The file has its bytes, and the type of the change."""
    (shell.folder / "small.txt").write_bytes(b"small")
    output = shell.run("put_file.sh", "small.txt", name)
    assert '"content_type":"text/csv"' in output
    assert output.endswith("{}")
    downloaded = client.download(name)
    assert (downloaded.body, downloaded.headers["content-type"]) == (b"small", "text/csv")


def test_folders_script_moves_and_restores(shell: Shell, client: FerryClient, name: str) -> None:
    """The folder is listed with its folders; the moved file has its new name, and the deleted one is back."""
    for each in ("a.txt", "b.txt", "below/c.txt"):
        client.start(f"{name}/{each}", 0)
        client.complete(f"{name}/{each}")
    output = shell.run("folders.sh", f"{name}/", f"{name}/a.txt", f"{name} moved.txt", f"{name}/b.txt")
    assert output.splitlines()[:3] == [f"{name}/{each}" for each in ("a.txt", "b.txt", "below/")]
    assert f'"deleted":["{name}/b.txt"]' in output
    assert [client.status(each).status for each in (f"{name}/a.txt", f"{name} moved.txt")] == [404, 200]
    assert client.status(f"{name}/b.txt").status == 200


def test_resumable_script_uploads_and_cancels(shell: Shell, client: FerryClient, name: str, source: Path) -> None:
    """The file has its bytes; the other upload received two and is cancelled."""
    output = shell.run("resumable.sh", str(source), name)
    assert '"state":"complete"' in output
    assert output.endswith("}2\n")
    assert client.download(name).body == source.read_bytes()
    assert client.status(f"{name} (other)").status in (404, 410)


def test_links_script_fetches_without_token(shell: Shell, client: FerryClient, name: str) -> None:
    """The file and the folder are fetched by their links; the activity has the download of the file."""
    for each in ("a.txt", "below/c.txt"):
        client.start(f"{name}/{each}", 0)
        client.complete(f"{name}/{each}")
    output = shell.run("links.sh", f"{name}/a.txt", f"{name}/below/", f"{name}/below/c.txt")
    assert f"{name}/below/c.txt\nlink:download\nactive\n" in output
    assert "'downloads': 1" in output
    assert "'action': 'download'" in output
    assert "Disallow: /l/" in output


def test_link_upload_script_sends_without_token(
    shell: Shell, client: FerryClient, credentials: Credentials, name: str, source: Path
) -> None:
    """The file is in the folder of the link; the other upload received two bytes and is gone."""
    link = client.post("/links", kind="upload", prefix=f"{name}/").json
    address = f"{credentials.url}/l/{link['url'].rpartition('/')[2]}"
    output = shell.run("link_upload.sh", address, str(source), "a b.bin")
    assert output == "a%20b.bin\n2\n"
    assert client.download(f"{name}/a b.bin").body == source.read_bytes()
    assert client.status(f"{name}/a b.bin (other)").status == 404


def test_names_script_transfers(shell: Shell) -> None:
    """A name with spaces, quotes, "?" and "#" goes through every route."""
    assert "Hello" in shell.run("names.sh")


def test_cleanup_script_reports(shell: Shell) -> None:
    """The dry run and the run report the same counts."""
    first, second = shell.run("cleanup.sh").replace("}{", "}\n{").splitlines()
    assert json.loads(first)["dry_run"] is True
    assert json.loads(second)["complete"] is True


def test_readme_block_succeeds(shell: Shell, service: LocalService) -> None:
    """The commands of examples/README.md work beside a running service."""
    (block,) = re.findall(
        r"^```sh\n(.*?)^```$", (ROOT / "examples/README.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    for name, target in {
        ".local": service.state_folder,
        "examples": ROOT / "examples",
        "README.md": ROOT / "README.md",
    }.items():
        (shell.folder / name).symlink_to(target)
    output = shell.run_text(block)
    assert '"state":"complete"' in output
    assert (service.state_folder / "README.copy").read_bytes() == (ROOT / "README.md").read_bytes()


def test_scripts_call_every_route(proxy: RecordingProxy) -> None:
    """The tests above have called each route of the API description. Runs last, as pytest keeps the file's order."""
    assert documented_routes() - proxy.called == set()
