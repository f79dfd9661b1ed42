"""Write the tables of docs/client-performance.md."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dev.bench.errors import BenchError
from dev.paths import ROOT

PAGE = ROOT / "docs" / "client-performance.md"


def write_table(name: str, table: str) -> None:
    """Replace the table between `<!-- NAME -->` and `<!-- /NAME -->`. Raises `BenchError` if the page lacks them."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    page, count = re.subn(
        f"{re.escape(start)}.*?{re.escape(end)}",
        lambda _: f"{start}\n{table}\n{end}",
        PAGE.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    if count != 1:
        raise BenchError(f"{PAGE.relative_to(ROOT)} must contain {start} … {end} once")
    PAGE.write_text(page, encoding="utf-8")


def clients_table(figures: Mapping[str, Any], reference: str) -> str:
    """Return the figures of `make prove-client` as Markdown tables. Ratios are to the client `reference`."""
    return "\n".join([*_client_lines(figures["cases"], reference), *_processor_lines(figures["cases"], reference)])


def _client_lines(cases: Mapping[str, Mapping[str, Any]], reference: str) -> Iterator[str]:
    columns = [f"MB/s {direction} | × {reference} | processor s | peak MB" for direction in ("up", "down")]
    yield f"| files | client | {' | '.join(columns)} |"
    yield f"|---|---|{'--:|' * 8}"
    for case, rows in cases.items():
        for client, row in rows.items():
            cells = [
                str(row[direction].get(key, ""))
                for direction in ("up", "down")
                for key in ("mb_per_second", f"rate_to_{reference}", "cpu_seconds", "peak_mb")
            ]
            yield f"| {_case_title(case)} | {client} | {' | '.join(cells)} |"


def _processor_lines(cases: Mapping[str, Mapping[str, Any]], reference: str) -> Iterator[str]:
    """Yield a table of the processor seconds by process, and of the ratios that they allow at most.

    Where no processor waits, a rate is inverse to all processor seconds together.
    """
    rows = [(case, client, row) for case, clients in cases.items() for client, row in clients.items()]
    if not all(row[way].get("server_cpu_seconds") and reference in cases[case] for case, _, row in rows for way in row):
        return
    columns = [f"S3, s {way} | service | client | × {reference} allowed | with a free client" for way in ("up", "down")]
    yield ""
    yield f"| files | client | {' | '.join(columns)} |"
    yield f"|---|---|{'--:|' * 10}"
    for case, client, row in rows:
        cells: list[str] = []
        for direction in ("up", "down"):
            s3, service, own = _processor_seconds(row[direction])
            total = sum(_processor_seconds(cases[case][reference][direction]))
            seconds = [f"{value:.2f}" for value in (s3, service, own)]
            cells += [*seconds, f"{total / (s3 + service + own):.2f}", f"{total / (s3 + service):.2f}"]
        yield f"| {_case_title(case)} | {client} | {' | '.join(cells)} |"


def _processor_seconds(way: Mapping[str, Any]) -> tuple[float, float, float]:
    """Return the processor seconds of S3 with its proxy, of the service, and of the client."""
    servers = way["server_cpu_seconds"]
    s3 = sum(seconds for kind, seconds in servers.items() if kind in ("S3", "S3 proxy"))
    return s3, sum(servers.values()) - s3, way["cpu_seconds"]


def _case_title(case: str) -> str:
    """Return what a case moves: whole GiB as GiB, and counts with commas."""
    title = re.sub(r"\b(\d+) MiB$", lambda match: _size_text(int(match[1])), case)
    return re.sub(r"^\d+", lambda match: f"{int(match[0]):,}", title)


def _size_text(mib: int) -> str:
    return f"{mib // 1024} GiB" if mib and mib % 1024 == 0 else f"{mib} MiB"


def kills_table(figures: Mapping[str, Any]) -> str:
    """Return the figures of `make prove-client-kills` as a Markdown table."""
    problems = figures["problems"]
    rows = {
        "files, each up and down": f"{figures['files']} of {figures['size_mb']:g} MB",
        "kills of the client": figures["client_kills"],
        "kills of the service": figures["service_kills"],
        "faults besides kills": sum(figures["faults"].values()),
        "files with other bytes": sum("other bytes came back" in problem for problem in problems),
        "transfers that failed": sum("exit code" in problem for problem in problems),
        "moved up, at most": f"{figures['most_moved']['up']:.2f}",
        "moved down, at most": f"{figures['most_moved']['down']:.2f}",
        "in flight at a kill, on average": f"{figures['in_flight_mb'] / max(1, figures['client_kills']):.0f} MB",
    }
    return "\n".join(["| | |", "|---|--:|", *(f"| {title} | {value} |" for title, value in rows.items())])
