"""Write the tables of bad lines into docs/client-performance.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dev.bench.client_report import write_table

Row = Mapping[str, Any]


def write_tables(figures: Mapping[str, Any]) -> None:
    """Replace the tables of the page by those of the figures of `make prove-lines`. Raises `BenchError`."""
    others = ["", *_others(figures["others"])] if figures["others"] else []
    write_table("lines", "\n".join([*_ferry(figures["lines"]), *others]))


def _ferry(lines: Mapping[str, Mapping[str, Row]]) -> Iterator[str]:
    """Yield the table of ferry: medians, and in brackets the worst run."""
    yield "| line | rate up | sent twice up | rate down | sent twice down | runs that finished |"
    yield "|---|--:|--:|--:|--:|--:|"
    for line, rows in lines.items():
        cells = [text for direction in ("up", "down") for text in _rates(rows.get(direction, {}))]
        yield f"| {line} | {' | '.join(cells)} | {_finished(rows)} |"


def _rates(row: Row) -> tuple[str, str]:
    if not row.get("finished"):
        return "", ""
    rate = f"{_percent(row['part_of_rate'])} ({_percent(row['least_part_of_rate'])})"
    return rate, f"{_percent(row['moved_over_size'], 1)} ({_percent(row['most_moved_over_size'], 1)})"


def _percent(share: float, digits: int = 0) -> str:
    return f"{share:.{digits}%}".replace("%", " %")


def _others(clients: Mapping[str, Mapping[str, Mapping[str, Row]]]) -> Iterator[str]:
    """Yield the table of the other clients: rate and bytes sent twice of the runs that finished."""
    lines = list(dict.fromkeys(line for rows in clients.values() for line in rows))
    columns = [(client, direction) for client in clients for direction in _directions(clients[client])]
    yield f"| line | {' | '.join(f'{client} {direction}' for client, direction in columns)} |"
    yield f"|---|{'--:|' * len(columns)}"
    for line in lines:
        cells = [_cell(clients[client].get(line, {}).get(direction, {})) for client, direction in columns]
        yield f"| {line} | {' | '.join(cells)} |"


def _directions(lines: Mapping[str, Mapping[str, Row]]) -> list[str]:
    return [direction for direction in ("up", "down") if any(direction in rows for rows in lines.values())]


def _cell(row: Row) -> str:
    if not row:
        return ""
    finished = f"{row['finished']} of {row['runs']}"
    if not row["finished"]:
        return finished
    return f"{finished}: {_percent(row['part_of_rate'])}, {_percent(row['moved_over_size'])} twice"


def _finished(rows: Mapping[str, Row]) -> str:
    finished, runs = (sum(row[key] for row in rows.values()) for key in ("finished", "runs"))
    return f"{finished} of {runs}"
