"""What the benchmarks make of their measurements."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dev.bench import api_report, client_report, handler_overhead, process_usage
from dev.bench.api_report import Run
from dev.bench.errors import BenchError

MIB = 1024 * 1024


def _run(seconds: float, functions: float = 0.0) -> Run:
    return Run(
        seconds=seconds,
        cpu_seconds={"client": 1.0, "functions": functions, "network model": 9.0},
        peak_mb={"client": 20.0, "functions": 100.0},
        calls={"s3": {"PutObject": 3, "UploadPart": 1}},
        backend_bytes={"s3": 8 * MIB},
        request_ms=40.0,
        function_ms=None,
    )


def test_summary_of_runs_has_rates_ratios_and_what_two_cores_allow() -> None:
    """A ratio is the median of each round's; the network model's processor time does not count."""
    runs = {
        api_report.ONE: [_run(2.0, 1.0), _run(4.0, 1.0), _run(8.0, 1.0)],
        api_report.TUS: [_run(4.0), _run(12.0), _run(8.0)],
    }
    summary = api_report.summarize(runs, {api_report.ONE: 1, api_report.TUS: 1}, size_mib=8)
    row = summary["contenders"][0]
    assert row["ms_a_chunk"] == 2000
    assert row["cpu_ms_a_chunk_sum"] == 1000
    assert row["two_cores_mb_per_second"] == pytest.approx(2 * 4 * MIB / 1e6, abs=0.1)
    assert row["calls_a_chunk"] == {"s3": 2}
    assert {(ratio["goal"], ratio["ratio"]) for ratio in summary["ratios"]} == {(2.0, 2.0), (1.3, 2.0)}


def test_table_of_figures_has_the_goals_of_its_network() -> None:
    """A table on the loopback interface has that network's goals, and says what tus-js-client answered."""
    runs = {api_report.ONE: [_run(2.0)], api_report.TUS: [_run(4.0)]}
    figures = {
        "network": "none (loopback)",
        "network_description": "No network model.",
        "rounds": 1,
        "size_mib": 8,
        "load_before": 0.5,
        "note": "",
        "tus_js_parallel_uploads": "rejected: 501.",
        **api_report.summarize(runs, dict.fromkeys(runs, 1), size_mib=8),
    }
    table = api_report.format_table(figures)
    assert f"| {api_report.ONE} ÷ {api_report.TUS} | 2.00 | ≥ 1.3 |" in table
    assert "≥ 2 " not in table
    assert "rejected: 501." in table


def test_table_of_figures_says_what_stands_in_the_way_of_each_missed_goal() -> None:
    """A goal that is missed has a line with the figures of its run; one that is reached has none."""
    seconds = {
        api_report.ONE: 3.0,
        api_report.TUS: 4.0,
        api_report.EIGHT: 0.5,
        api_report.STRAIGHT: 2.0,
        api_report.S5CMD: 1.0,
    }
    runs = {name: [replace(_run(time, 0.5), function_ms_sum=300.0)] for name, time in seconds.items()}
    figures = {
        "network": "aws",
        "network_description": "Network model aws.",
        "rounds": 1,
        "size_mib": 8,
        "load_before": 0.5,
        "note": "",
        "tus_js_parallel_uploads": "rejected: 501.",
        **api_report.summarize(runs, dict.fromkeys(runs, 1) | {api_report.STRAIGHT: 4}, size_mib=8),
    }
    lines = [line for line in api_report.format_table(figures).splitlines() if line.startswith("- **")]
    assert [line.partition(":")[0] for line in lines] == [f"- **{api_report.ONE}", f"- **{api_report.STRAIGHT}"]
    assert "1.33 times" in lines[0]
    assert "waits for each chunk, 1500 ms" in lines[0]
    assert "Of the 2000 ms of an upload, 300 pass in the functions" in lines[1]


def test_overhead_counts_the_least_time_of_each_kind() -> None:
    """Chunks that are staged and chunks that complete a part count alike, each by its least time."""
    pairs = [(0.009, 0.006), (0.013, 0.005), (0.008, 0.009), (0.012, 0.007)]
    assert handler_overhead.summarize(pairs, kinds=2)["ratio"] == 2.0
    assert handler_overhead.summarize(pairs, kinds=1)["ratio"] == 1.6


def test_kind_of_this_process_is_not_one_of_the_emulators() -> None:
    """A process whose command names no emulator counts as the gateway, as does one that has exited."""
    assert process_usage.kind_of(2**22 + 1) == process_usage.GATEWAY


def test_table_of_clients_has_a_row_for_each_client_of_each_case() -> None:
    """Rates, ratios to the reference, processor seconds and memory, both ways; sizes as people write them."""
    way = {"mb_per_second": 242.0, "cpu_seconds": 1.24, "peak_mb": 50, "rate_to_s5cmd": 1.29}
    cases = {"1 file of 2048 MiB": {"ferry": {"up": way, "down": way}}, "2000 files of 16 KiB": {}}
    cases["2000 files of 16 KiB"] = cases["1 file of 2048 MiB"]
    _, _, *rows = client_report.clients_table({"cases": cases}, "s5cmd").splitlines()
    cells = "| 242.0 | 1.29 | 1.24 | 50 | 242.0 | 1.29 | 1.24 | 50 |"
    assert rows == [f"| 1 file of 2 GiB | ferry {cells}", f"| 2,000 files of 16 KiB | ferry {cells}"]


def test_table_of_clients_says_which_ratio_the_processors_allow() -> None:
    """The reference's processor seconds ÷ the client's own, with and without the client's; S3 includes its proxy."""

    def row(client_seconds: float, gateway_seconds: float) -> dict[str, object]:
        servers = {"S3": 3.0, "S3 proxy": 1.0, "gateway": gateway_seconds}
        way = {"mb_per_second": 1.0, "cpu_seconds": client_seconds, "peak_mb": 5, "server_cpu_seconds": servers}
        return {"up": way, "down": way}

    cases = {"1 file of 2048 MiB": {"ferry": row(0.5, 0.5), "s5cmd": row(2.0, 0.0)}}
    lines = client_report.clients_table({"cases": cases}, "s5cmd").splitlines()
    assert lines[4] == ""
    cells, own = "4.00 | 0.50 | 0.50 | 1.20 | 1.33", "4.00 | 0.00 | 2.00 | 1.00 | 1.50"
    assert lines[-2:] == [
        f"| 1 file of 2 GiB | ferry | {cells} | {cells} |",
        f"| 1 file of 2 GiB | s5cmd | {own} | {own} |",
    ]


def test_table_of_kills_counts_faults_and_problems() -> None:
    """Wrong files and failed transfers are counted apart; what was in flight is an average."""
    figures = {
        "files": 20,
        "size_mb": 200.0,
        "client_kills": 100,
        "service_kills": 10,
        "faults": {"rejected": 3, "lost": 4},
        "problems": ["file-1: other bytes came back", "('put',): exit code 6: ", "('put',): moved 1.20 times the file"],
        "most_moved": {"up": 1.2, "down": 1.008},
        "in_flight_mb": 2391.6,
    }
    values = [row.split(" | ")[1].removesuffix(" |") for row in client_report.kills_table(figures).splitlines()[2:]]
    assert values == ["20 of 200 MB", "100", "10", "7", "1", "1", "1.20", "1.01", "24 MB"]


def test_table_is_written_between_its_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text around the marks remains; a page without them is an error."""
    page = tmp_path / "page.md"
    monkeypatch.setattr(client_report, "ROOT", tmp_path)
    monkeypatch.setattr(client_report, "PAGE", page)
    page.write_text("a\n<!-- kills -->\nold\n<!-- /kills -->\nb\n", encoding="utf-8")
    client_report.write_table("kills", r"| new \1 |")
    assert page.read_text(encoding="utf-8") == "a\n<!-- kills -->\n| new \\1 |\n<!-- /kills -->\nb\n"
    with pytest.raises(BenchError, match="<!-- lines -->"):
        client_report.write_table("lines", "")


def test_table_says_what_the_time_of_a_chunk_consists_of() -> None:
    """With the model of AWS's network, the table splits the mean time of a chunk, without start and completion."""
    run = replace(_run(2.0, 0.02), function_ms_sum=2 * api_report.OTHER_REQUEST_MS + 2 * 145.0)
    figures = {
        "network": "aws",
        "network_description": "Network model aws.",
        "rounds": 1,
        "size_mib": 8,
        "load_before": 0.5,
        "note": "",
        "tus_js_parallel_uploads": "rejected: 501.",
        **api_report.summarize({api_report.ONE: [run]}, {api_report.ONE: 1}, size_mib=8),
    }
    assert api_report.mean_chunk_ms(figures) == 145
    table = api_report.format_table(figures)
    assert "takes 145 ms in the mean for a chunk of one sender: 101 by the delays" in table
    assert ", 10 on the processor." in table
