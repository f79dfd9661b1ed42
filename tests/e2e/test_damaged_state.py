"""A start on a damaged state folder: the damage is repaired without a loss, or named; it is never silent."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dev.local.client import FerryClient, UnexpectedResponseError
from dev.local.errors import LocalError
from dev.local.launcher import LocalService
from dev.paths import ROOT
from tests.e2e.clients import CHUNK_BYTES, log_in_as, random_bytes, send_chunks, upload_file
from tests.support import damage

FINISHED, HALF = random_bytes(300_000), random_bytes(4 * CHUNK_BYTES, seed=2)
NO_DATA = {"processes", "lock", "netrc", "events.jsonl", "sam-env.json", "sam-template.json", "security.toml"}
"""Files that hold no state: each start writes them again, or only appends to them."""
NO_DATA_FOLDERS = {"logs"}
NUMBER_OR_JOB = re.compile(r"\d+|(?<=job_types/)\w+")
"""What makes no other kind of file in a path: a number, and the name of a job of SeaweedFS."""
CLIENTS_FILE = "ferry.json"


@pytest.fixture(scope="module")
def saved_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the state folder of a killed service: a finished file, and an upload with three of four chunks."""
    folder = tmp_path_factory.mktemp("saved") / "state"
    service = LocalService(folder)
    api = log_in_as(service, "demo")
    upload_file(api, "finished", FINISHED)
    api.start("half", len(HALF))
    send_chunks(api, "half", HALF, (1, 2, 3))
    service.kill()
    return folder


def state_files(folder: Path) -> list[Path]:
    """Return the largest file of each kind, relative to the folder."""
    kinds: dict[str, Path] = {}
    for path in sorted(folder.rglob("*"), key=lambda path: path.stat().st_size):
        relative = path.relative_to(folder)
        holds_data = relative.parts[0] not in NO_DATA_FOLDERS and path.name not in NO_DATA and path.stat().st_size
        if path.is_file() and holds_data:
            kinds[NUMBER_OR_JOB.sub("#", str(relative))] = relative
    return list(kinds.values())


def check_nothing_is_lost(service: LocalService) -> None:
    api = log_in_as(service, "demo")
    assert api.download("finished").body == FINISHED
    assert api.status("half").json["missing"] == [[4, 4]]
    send_chunks(api, "half", HALF, (4,))
    assert api.complete("half").status == 200
    assert api.download("half").body == HALF


def start_and_describe(folder: Path) -> str:
    """Start on the folder; return `intact`, or the one line of the error. Assert that nothing is lost in silence."""
    log = folder.with_name(f"{folder.name}.log")
    log.unlink(missing_ok=True)
    try:
        service = LocalService(folder)
    except LocalError:
        lines = [line for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("ferry: ")]
        assert "Traceback" not in log.read_text(encoding="utf-8")
        return lines[-1]
    try:
        check_nothing_is_lost(service)
    finally:
        service.kill()
    return "intact"


@pytest.mark.stress
def test_damaged_file_is_repaired_or_named(
    saved_state: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Each kind of state file, gone, truncated, garbage or with one bit changed: no byte is lost without a word."""
    files = state_files(saved_state)
    assert {path.parts[0] for path in files} >= {"dynamodb", "s3", "backends.json", CLIENTS_FILE}
    outcomes: list[str] = []
    silent: list[str] = []
    for path in files:
        for change in damage.DAMAGES:
            folder = tmp_path / "state"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(saved_state, folder)
            change(folder / path)
            case = f"{path}, {change.__name__}"
            try:
                outcome = start_and_describe(folder)
            except (AssertionError, OSError, UnexpectedResponseError) as error:
                silent.append(f"{case}: {error!r}")
                continue
            if outcome != "intact" and not re.search(r"ferry: .*state/.* CLEAN=1|ferry\.json is damaged", outcome):
                silent.append(f"{case}: {outcome}")
            outcomes.append(f"{case}: {outcome}")
    record_property("cases", len(outcomes) + len(silent))
    record_property("named", sum(not outcome.endswith(": intact") for outcome in outcomes))
    record_property("silent", len(silent))
    (tmp_path / "outcomes.txt").write_text("\n".join(outcomes + silent), encoding="utf-8")
    assert not silent, "\n".join(silent)


def test_lost_names_are_reported_with_the_files(saved_state: Path, tmp_path: Path) -> None:
    """SeaweedFS starts without its store of names; the service says which files have lost their bytes."""
    folder = tmp_path / "state"
    shutil.copytree(saved_state, folder)
    shutil.rmtree(folder / "s3" / "filerldb2")
    command = [sys.executable, "-m", "dev.local", "--quiet", "--state", str(folder)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert finished.returncode == 1
    assert re.search(
        r"ferry: \S+/s3 is damaged: bytes of 1 of 1 files \('finished'\) and 1 of 1 open uploads \('half'\) are lost\."
        r" .*CLEAN=1`\n\Z",
        finished.stderr,
    ), finished.stderr


def test_kept_secret_of_a_client_is_reported_when_it_changes(saved_state: Path, tmp_path: Path) -> None:
    """Without ferry.json the clients get new secrets, and the service says so."""
    folder = tmp_path / "state"
    shutil.copytree(saved_state, folder)
    (folder / CLIENTS_FILE).unlink()
    service = LocalService(folder)
    try:
        assert "client demo has another secret than before" in service.read_log()
        assert isinstance(log_in_as(service, "demo"), FerryClient)
    finally:
        service.kill()
