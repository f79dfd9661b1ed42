"""The nets behind the clean-up (lifecycle rules, DynamoDB's TTL, the search for orphans) never reach what lives.

All of them count from when something was made; so each must lie beyond the longest that an upload can last, for the
greatest values that the parameters allow.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ferry.aws.ledger import KEEP_ROWS
from ferry.cleanup.search import SETTLED, UNKNOWN_AGE
from ferry.engine import HOUR, SECOND
from ferry.grid import MAX_PARTS
from ferry.uploads.ending import MEMORY
from ferry.uploads.files import GRACE
from ferry.uploads.making import SETTLING
from ferry.uploads.start import CREATING_TIMEOUT

DAY = 86_400
TICK = 3_600
"""Seconds between two runs of the schedule, at the slowest that the alarm on stale sessions puts up with."""
RESTORABLE = 35 * DAY
"""How far back DynamoDB's point-in-time recovery reaches, in seconds."""


def greatest(template: Any, parameter: str) -> int:
    value: int = template["Parameters"][parameter]["MaxValue"]
    return value


def variable(template: Any, function: str, name: str) -> int:
    common = template["Globals"]["Function"]["Environment"]["Variables"]
    own = template["Resources"][function]["Properties"].get("Environment", {}).get("Variables", {})
    return int({**common, **own}[name])


def longest_life(template: Any) -> int:
    """Seconds from the start of an upload to the end of a completion that began in its last moment: every part still to
    be put together at one a second, handed on from run to run, each of which dies and lets its lease lapse.
    """
    mending = variable(template, "CleanupFunction", "FERRY_MENDING")
    lease = variable(template, "CleanupFunction", "FERRY_LEASE")
    rounds = -(-MAX_PARTS // mending)
    return greatest(template, "SessionMaxAge") + rounds * (mending + lease + TICK)


def margins(template: Any) -> dict[str, float]:
    """By how many seconds each net lies beyond what it must not reach."""
    rules = template["Resources"]["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    by_prefix = {rule["Prefix"]: rule for rule in rules}
    lived = longest_life(template)
    longest_request = max(
        template["Globals"]["Function"]["Timeout"],
        *(body["Properties"].get("Timeout", 0) for body in template["Resources"].values() if "Properties" in body),
    )
    url = greatest(template, "UrlLifetime")
    return {
        "lifecycle of multipart uploads": by_prefix["o/"]["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] * DAY
        - lived,
        "lifecycle of stages": by_prefix["st/"]["ExpirationInDays"] * DAY - lived,
        "TTL of claims and progress": KEEP_ROWS - lived,
        "lifecycle of what the search would take": by_prefix["st/"]["ExpirationInDays"] * DAY - UNKNOWN_AGE / SECOND,
        "search, of no session": UNKNOWN_AGE / SECOND - greatest(template, "SessionMaxAge") - DAY + 1,
        "search, of a session": SETTLED / SECOND - longest_request - CREATING_TIMEOUT / SECOND,
        "objects that a restored ledger forgot": template["Parameters"]["OrphanObjectDays"]["Default"] * DAY
        - RESTORABLE
        + 1,
        "memory of ended sessions": MEMORY / SECOND - 2 * DAY,
        "a replaced object, for downloads": GRACE / SECOND - url - longest_request,
        "second look at an ended upload": HOUR / SECOND - longest_request,
        "a completion inside S3": SETTLING / SECOND - template["Globals"]["Function"]["Timeout"],
    }


def test_every_net_lies_beyond_what_lives(template: Any) -> None:
    """For the greatest values that the parameters allow."""
    assert {name for name, margin in margins(template).items() if margin <= 0} == set()


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("SessionMaxAge", 8 * DAY), ("SessionMaxAge", 14 * DAY), ("UrlLifetime", DAY)],
)
def test_a_greater_value_would_be_noticed(template: Any, parameter: str, value: int) -> None:
    """Whoever raises one of them finds this test before the nets find an upload."""
    raised = copy.deepcopy(template)
    raised["Parameters"][parameter]["MaxValue"] = value
    assert min(margins(raised).values()) <= 0


@pytest.mark.parametrize(("function", "name", "value"), [("CleanupFunction", "FERRY_MENDING", "60")])
def test_slower_completions_would_be_noticed(template: Any, function: str, name: str, value: str) -> None:
    """Less time in each run makes more of them."""
    slower = copy.deepcopy(template)
    slower["Resources"][function]["Properties"]["Environment"]["Variables"][name] = value
    assert min(margins(slower).values()) <= 0


def test_idleness_never_outlasts_the_greatest_age(template: Any) -> None:
    """An upload expires at the earlier of the two, so the greatest age is what the nets are measured by."""
    assert greatest(template, "SessionIdleTimeout") <= greatest(template, "SessionMaxAge")


def test_days_of_orphans_may_be_none(template: Any) -> None:
    """0 keeps them for ever, which an operator may choose; the default is as long as a ledger can be restored."""
    parameter = template["Parameters"]["OrphanObjectDays"]
    assert (parameter["MinValue"], parameter["Default"]) == (0, 35)
