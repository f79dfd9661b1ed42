"""The arithmetic of growth, and the tables of its page."""

from __future__ import annotations

import pytest

from dev.bench import growth
from dev.bench.usage import UsageMeter
from dev.figures import read_figures


def test_rates_grow_with_uploads_and_name_the_first_limit() -> None:
    """One sender sends a chunk in the assumed time; the first limit is the one that the fewest uploads meet."""
    chunk = {"write_units": 2.0, "s3_calls": 1.0}
    assert growth.rates(500, chunk)["chunks"] == 500 / growth.CHUNK_SECONDS
    met = growth.first_uploads(chunk)
    assert list(met) == sorted(met, key=met.__getitem__)
    assert met["Lambda's concurrent executions"] == 1_000
    assert next(iter(met)) == "Ferry's rate limit of a route (`DefaultRateLimit`)"


def test_work_without_another_is_the_rest() -> None:
    """The work of an idle run is taken from that of a run with a task, and the calls take their delays."""
    rest = growth.Work({"N#": 3, "U#": 1}, 2, 9).minus(growth.Work({"N#": 1}, 1, 5))
    assert rest == growth.Work({"N#": 2, "U#": 1}, 1, 4)
    assert rest.seconds == 0.041


class FailingClient:
    """A DynamoDB client whose transactions fail."""

    def transact_write_items(self, **_: object) -> None:
        raise ValueError("rejected")


def test_call_that_fails_is_counted() -> None:
    """A PUT of a name that has a file begins with a transaction that fails: it is a call without written units."""
    meter = UsageMeter(FailingClient(), "table")
    with pytest.raises(ValueError, match="rejected"):
        meter.transact_write_items(TransactItems=[])
    assert meter.calls == {"transact_write_items": 1}
    assert meter.write_units == 0


def test_page_has_the_tables_of_its_figures() -> None:
    """The tables of docs/growth.md are those of docs/figures/growth.json."""
    page = growth.PAGE.read_text(encoding="utf-8")
    figures = read_figures("growth")
    for name, show in growth.TABLES.items():
        assert f"<!-- {name} -->\n{show(figures)}\n<!-- /{name} -->" in page, name
