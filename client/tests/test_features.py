"""Options of the command: rate timetables, jobs, completion, standard input, links."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from client.tests.commands import Run, run
from client.tests.fake_responses import fail_once
from client.tests.fake_service import FakeService
from client.tests.pipes import standard_input
from ferry_client.cli.rate import parse_rate
from ferry_client.jobs import JobTuner
from ferry_client.transport import HttpRequest
from ferry_client.workers import TransferLimit

__all__ = ["run"]

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("text", "hour", "rate"),
    [
        ("2M", 3, 2 * MIB),
        ("off", 3, None),
        ("08:00,512K 18:00,off", 7, None),
        ("08:00,512K 18:00,off", 8, 512 * 1024),
        ("08:00,512K 18:00,off", 17, 512 * 1024),
        ("08:00,512K 18:00,off", 18, None),
        ("22:00,10M 06:00,1M", 23, 10 * MIB),
        ("22:00,10M 06:00,1M", 5, 10 * MIB),
    ],
)
def test_rate_of_a_timetable_follows_the_clock(text: str, hour: int, rate: int | None) -> None:
    """A rate, or rates by time of day; before the first entry, the last one of the day before holds."""
    assert parse_rate(text)(datetime(2026, 1, 2, hour, 30, tzinfo=UTC)) == rate


@pytest.mark.parametrize("text", ["fast", "25:00,1M", "08:00", "08:00,1M 1M", "08:00,1M 08:00,2M", "0"])
def test_rate_that_is_none_is_a_usage_error(run: Run, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A rate that cannot be read says how to write one."""
    Path("a").touch()
    assert run("put", "a", "--limit-rate", text) == 2
    assert "08:00,512K" in capsys.readouterr().err


def test_jobs_grow_while_the_rate_grows_and_then_stay() -> None:
    """Each job brings 1 MB/s up to the sixth: the tuner ends near six, and never leaves its bounds."""
    now = [0.0]
    limit = TransferLimit(2)
    tuner = JobTuner(limit, max_jobs=16, now=lambda: now[0])
    seen = []
    for _ in range(200):
        now[0] += 0.5
        tuner.record(500_000 * min(limit.limit, 6))
        seen.append(limit.limit)
    assert 5 <= seen[-1] <= 9
    assert 1 <= min(seen) <= max(seen) <= 16


def test_jobs_shrink_where_they_bring_nothing() -> None:
    """On a line that one connection fills, few jobs remain."""
    now = [0.0]
    limit = TransferLimit(4)
    tuner = JobTuner(limit, max_jobs=16, now=lambda: now[0])
    for _ in range(400):
        now[0] += 0.5
        tuner.record(4_000)
    assert limit.limit <= 2


@pytest.mark.parametrize("bytes_per_second", [250_000, 1_000_000])
def test_jobs_shrink_to_two_on_a_line_without_room(bytes_per_second: int) -> None:
    """Where two requests fill the line, each other one only adds to what a change of address costs."""
    now = [0.0]
    limit = TransferLimit(4)
    tuner = JobTuner(limit, max_jobs=16, now=lambda: now[0])
    seen = set()
    for _ in range(400):
        now[0] += 0.5
        tuner.record(bytes_per_second // 2)
        seen.add(limit.limit)
    assert min(seen) == 2
    assert limit.limit <= 4


def test_rate_of_a_window_with_a_break_changes_no_jobs() -> None:
    """The slow window of a change of address is no reason for more jobs, and the next one is no gain."""
    now = [0.0]
    limit = TransferLimit(6)
    tuner = JobTuner(limit, max_jobs=16, now=lambda: now[0])
    tuner.record(1)
    rates = [1_000_000, 500_000, 1_000_000, 1_000_000] * 40
    for number, rate in enumerate(rates):
        now[0] += 2.0
        if number % 4 == 1:
            tuner.record_break()
        tuner.record(2 * rate)
        assert limit.limit <= 9


def test_jobs_after_a_slow_first_window_do_not_grow() -> None:
    """The first requests wait for their responses: the rate that follows is no gain of more jobs."""
    now = [0.0]
    limit = TransferLimit(2)
    tuner = JobTuner(limit, max_jobs=16, now=lambda: now[0])
    tuner.record(1)
    seen = []
    for rate in [100_000, *[250_000] * 30]:
        now[0] += 2.0
        tuner.record(2 * rate)
        seen.append(limit.limit)
    assert seen.count(2) >= 25
    assert max(seen) == 3


def test_jobs_after_a_weak_moment_do_not_grow() -> None:
    """A window with half of the rate is followed by a usual one: that is no gain of more jobs."""
    now = [0.0]
    limit = TransferLimit(2)
    tuner = JobTuner(limit, max_jobs=16, now=lambda: now[0])
    tuner.record(1)
    for number in range(200):
        now[0] += 2.0
        tuner.record(2 * (125_000 if limit.limit == 2 and number % 3 == 0 else 250_000))
        assert limit.limit <= 3


def test_jobs_on_a_fast_line_reach_their_most_within_seconds() -> None:
    """Where each job brings 20 MB/s, the number grows every half second."""
    now = [0.0]
    limit = TransferLimit(2)
    tuner = JobTuner(limit, max_jobs=16, now=lambda: now[0])
    while limit.limit < 16 and now[0] < 30:
        now[0] += 0.1
        tuner.record(2_000_000 * limit.limit)
    assert now[0] <= 4


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(run: Run, shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The script for each shell names the command."""
    assert run("completion", shell) == 0
    assert "_FERRY_COMPLETE" in capsys.readouterr().out


def test_completion_of_a_subcommand_works(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script gets what it asks for: subcommands that begin with the word."""
    environment = {"_FERRY_COMPLETE": "bash_complete", "COMP_WORDS": "ferry do", "COMP_CWORD": "1"}
    result = subprocess.run(
        [sys.executable, "-c", "from ferry_client.cli.main import main; main()"],
        capture_output=True,
        text=True,
        check=False,
        env={**environment, "PYTHONPATH": str(Path(sys.modules["ferry_client"].__file__ or "").parents[1])},
    )
    assert result.stdout == "plain,doctor\n"


def test_small_standard_input_goes_in_one_request(run: Run, fake: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to 4 MiB need no disk."""
    standard_input(monkeypatch, b"x" * 4 * MIB)
    assert run("put", "-", "x") == 0
    assert fake.count("PUT", "/files") == 1


def test_large_standard_input_is_sent_as_it_comes(
    run: Run, fake: FakeService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """More than 4 MiB go by the resumable protocol, and need no disk. A file named <stdin> is not taken for it."""
    data = bytes(range(256)) * (5 * MIB // 256)
    standard_input(monkeypatch, data)
    (tmp_path / "<stdin>").write_bytes(b"no")
    assert run("put", "-", "x") == 0
    assert capsys.readouterr().out == "x 5.0 MiB\n"
    assert fake.files["x"].data == data
    assert fake.count("POST", "/uploads") == 1
    assert not (tmp_path / "state" / "stdin").exists()


def test_interrupted_standard_input_says_that_it_does_not_continue(
    run: Run, fake: FakeService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C: exit code 130, no file, and no advice to run the same command again."""
    standard_input(monkeypatch, b"x" * 5 * MIB)

    def interrupt(request: HttpRequest) -> None:
        if request.method == "PATCH":
            raise KeyboardInterrupt

    fake.before.append(interrupt)
    assert run("put", "-", "x") == 130
    assert capsys.readouterr().err == (
        "ferry: stopped. The upload of standard input does not continue; --spool-input makes it resumable.\n"
    )
    assert not fake.files


def test_spooled_standard_input_is_resumed(
    run: Run, fake: FakeService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same input again continues its upload; another one begins anew. Nothing remains on the disk."""
    data = bytes(range(256)) * (6 * MIB // 256)
    standard_input(monkeypatch, data)
    fake.before.append(fail_once(lambda request: "chunk_index=20" in request.url, times=10_000))
    assert run("put", "-", "x", "--spool-input", "--retry-for", "0", "--jobs", "1") == 6
    assert "ferry put" in capsys.readouterr().err
    fake.before.clear()
    sent = fake.count("POST", "/upload/chunk")
    standard_input(monkeypatch, data)
    assert run("put", "-", "x", "--spool-input") == 0
    assert fake.files["x"].data == data
    assert fake.count("POST", "/upload/chunk") - sent < 10
    assert not list((tmp_path / "state" / "stdin").iterdir())


def test_links_are_kept_and_given_back(run: Run, fake: FakeService, tmp_path: Path) -> None:
    """A link goes up as a link, and comes back as one with `--preserve`; a second run changes nothing."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_bytes(b"f")
    (tmp_path / "d" / "l").symlink_to("f")
    assert run("put", "d", "--symlinks", "keep", "--preserve") == 0
    assert fake.files["d/l"].metadata["symlink"] == "f"
    for _ in range(2):
        assert run("get", "d/", "back", "--preserve") == 0
        assert (tmp_path / "back" / "l").readlink() == Path("f")
    assert run("sync", "d/", "synced", "--down", "--preserve") == 0
    assert (tmp_path / "synced" / "l").readlink() == Path("f")


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "x/../../outside"])
def test_link_that_leads_outside_is_not_made(
    run: Run, fake: FakeService, tmp_path: Path, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stored link out of the target folder is an error of that file alone."""
    fake.put_file("d/l", b"", symlink=target)
    fake.put_file("d/z", b"z")
    assert run("get", "d/", "back", "--preserve") == 1
    assert not (tmp_path / "back" / "l").is_symlink()
    assert (tmp_path / "back" / "z").read_bytes() == b"z"
    assert "outside" in capsys.readouterr().err


def loaded_modules(program: str) -> set[str]:
    """Return the modules that a program has loaded when it ends, in an interpreter without the site's own."""
    source = str(Path(sys.modules["ferry_client"].__file__ or "").parents[1])
    packages = str(Path(sys.modules["click"].__file__ or "").parents[1])
    code = f"import sys; sys.path += [{source!r}, {packages!r}]\ntry:\n {program}\nexcept BaseException: pass\n"
    code += "sys.stderr.write(' '.join(sys.modules))"
    result = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    return set(result.stderr.split())


def run_program(*arguments: str) -> str:
    """Return a program that runs the command, without the end of the process."""
    return (
        f"import os; sys.argv[1:] = {list(arguments)!r}; os._exit = sys.exit; "
        "from ferry_client.cli.main import main; main()"
    )


@pytest.mark.parametrize(
    ("program", "absent"),
    [
        (run_program("--version"), {"click", "typing", "re", "dataclasses", "urllib3", "json"}),
        ("import ferry_client", {"ferry_client.client", "ferry_client.models", "urllib3", "typing"}),
        (run_program("--help"), {"urllib3", "rich", "ssl", "ferry_client.client", "ferry_client.cli.put"}),
        (run_program("put", "--help"), {"urllib3", "rich", "ssl", "sqlite3", "ferry_client.uploads"}),
        ("from ferry_client import Ferry", {"click", "rich", "urllib3", "ssl", "platformdirs", "google_crc32c"}),
    ],
    ids=["version", "package", "help", "help of put", "SDK"],
)
def test_start_loads_what_it_needs_alone(program: str, absent: set[str]) -> None:
    """Imports are lazy: `ferry --version` takes at most four times the bare start of the interpreter."""
    loaded = loaded_modules(program)
    assert "ferry_client" in loaded
    assert not loaded & absent


@pytest.mark.stress
def test_version_starts_about_as_fast_as_python() -> None:
    """`ferry --version` takes at most four times the bare start of the same interpreter."""
    source = str(Path(sys.modules["ferry_client"].__file__ or "").parents[1])
    program = f"import sys; sys.path.insert(0, {source!r}); {run_program('--version')}"

    def seconds(code: str) -> float:
        """Return the processor time, which the load of the machine changes less than the duration."""
        measure = "import atexit, sys, time; atexit.register(lambda: sys.stderr.write(f'\\n{time.process_time()}')); "
        run = subprocess.run([sys.executable, "-I", "-c", measure + code], check=True, capture_output=True, text=True)
        return float(run.stderr.split()[-1])

    pairs = [(seconds("pass"), seconds(program)) for _ in range(7)]
    assert min(version for _, version in pairs) <= 4 * min(bare for bare, _ in pairs)
