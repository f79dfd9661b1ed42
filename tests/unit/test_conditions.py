"""Conditional requests by RFC 9110 section 13."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferry.rules.conditions import (
    Conditions,
    PreconditionResult,
    Validators,
    evaluate_preconditions,
    format_http_date,
    if_range_matches,
    parse_http_date,
)

PROCEED, NOT_MODIFIED, FAILED = PreconditionResult.PROCEED, PreconditionResult.NOT_MODIFIED, PreconditionResult.FAILED

NOW = 1_795_000_000
CURRENT = Validators('"abc-2"', 784_111_777)
LATE_COMMIT = Validators('"abc-2"', 784_111_777, current_since_seconds=784_111_777 + 10)
"""Dated by the start of its upload, and current ten seconds later."""
SAME = "Sun, 06 Nov 1994 08:49:37 GMT"
BEFORE = "Sun, 06 Nov 1994 08:49:36 GMT"
AFTER = "Sun, 06 Nov 1994 08:49:38 GMT"

CONDITION_CASES = [
    ("13.2.2", Conditions(), PROCEED),
    ("13.1.1", Conditions(if_match='"abc-2"'), PROCEED),
    ("13.1.1", Conditions(if_match='"x", "abc-2"'), PROCEED),
    ("13.1.1", Conditions(if_match='"x","abc-2","y"'), PROCEED),
    ("13.1.1", Conditions(if_match="*"), PROCEED),
    ("13.1.1", Conditions(if_match=" * "), PROCEED),
    ("13.1.1", Conditions(if_match='"x"'), FAILED),
    ("13.1.1", Conditions(if_match='W/"abc-2"'), FAILED),
    ("13.1.1", Conditions(if_match='"ABC-2"'), FAILED),
    ("8.8.3", Conditions(if_match="abc-2"), FAILED),
    ("8.8.3", Conditions(if_match='"x" "abc-2"'), FAILED),
    ("8.8.3", Conditions(if_match='"abc-2'), FAILED),
    ("8.8.3", Conditions(if_match=""), FAILED),
    ("8.8.3", Conditions(if_match='"x, "abc-2"'), FAILED),
    ("8.8.3", Conditions(if_match='"a,b", "abc-2"'), PROCEED),
    ("5.6.1.2", Conditions(if_match=', ,"abc-2", ,'), PROCEED),
    ("13.1.2", Conditions(if_none_match='"abc-2"'), NOT_MODIFIED),
    ("13.1.2", Conditions(if_none_match='W/"abc-2"'), NOT_MODIFIED),
    ("13.1.2", Conditions(if_none_match='"x", W/"abc-2"'), NOT_MODIFIED),
    ("13.1.2", Conditions(if_none_match="*"), NOT_MODIFIED),
    ("13.1.2", Conditions(if_none_match='"x", "y"'), PROCEED),
    ("8.8.3", Conditions(if_none_match='w/"abc-2"'), PROCEED),
    ("8.8.3", Conditions(if_none_match="abc-2"), PROCEED),
    ("13.1.3", Conditions(if_modified_since=SAME), NOT_MODIFIED),
    ("13.1.3", Conditions(if_modified_since=AFTER), NOT_MODIFIED),
    ("13.1.3", Conditions(if_modified_since=BEFORE), PROCEED),
    ("13.1.3", Conditions(if_modified_since="yesterday"), PROCEED),
    ("13.1.3", Conditions(if_modified_since=""), PROCEED),
    ("13.1.3", Conditions(if_modified_since=f"{SAME}, {SAME}"), PROCEED),
    ("13.1.3", Conditions(if_modified_since=AFTER, if_none_match='"x"'), PROCEED),
    ("13.1.3", Conditions(if_modified_since=BEFORE, if_none_match='"abc-2"'), NOT_MODIFIED),
    ("13.1.4", Conditions(if_unmodified_since=SAME), PROCEED),
    ("13.1.4", Conditions(if_unmodified_since=AFTER), PROCEED),
    ("13.1.4", Conditions(if_unmodified_since=BEFORE), FAILED),
    ("13.1.4", Conditions(if_unmodified_since="1994"), PROCEED),
    ("13.1.4", Conditions(if_unmodified_since=BEFORE, if_match='"abc-2"'), PROCEED),
    ("13.1.4", Conditions(if_unmodified_since=AFTER, if_match='"x"'), FAILED),
    ("13.2.2", Conditions(if_match='"x"', if_none_match='"abc-2"'), FAILED),
    ("13.2.2", Conditions(if_match='"abc-2"', if_none_match='"abc-2"'), NOT_MODIFIED),
    ("13.2.2", Conditions(if_unmodified_since=BEFORE, if_none_match='"abc-2"'), FAILED),
    ("13.2.2", Conditions(if_unmodified_since=SAME, if_modified_since=SAME), NOT_MODIFIED),
    ("13.2.2", Conditions(if_range='"x"'), PROCEED),
]


@pytest.mark.parametrize(
    ("section", "conditions", "outcome"),
    CONDITION_CASES,
    ids=[f"{i}-{row[0]}" for i, row in enumerate(CONDITION_CASES)],
)
def test_evaluate_cases_match_rfc(section: str, conditions: Conditions, outcome: PreconditionResult) -> None:
    """Each case has the outcome that the section of RFC 9110 requires."""
    assert evaluate_preconditions(conditions, CURRENT, NOW) is outcome


@pytest.mark.parametrize(
    ("seconds", "outcome"),
    [(-1, PROCEED), (0, NOT_MODIFIED), (1, PROCEED), (9, PROCEED), (10, PROCEED), (11, NOT_MODIFIED)],
)
def test_evaluate_dated_before_commit_uses_commit_time(seconds: int, outcome: PreconditionResult) -> None:
    """A file that became current after its date matches that date, and later dates only from the commit on."""
    date = format_http_date(LATE_COMMIT.last_modified_seconds + seconds)
    assert evaluate_preconditions(Conditions(if_modified_since=date), LATE_COMMIT, NOW) is outcome
    opposite = FAILED if outcome is PROCEED else PROCEED
    assert evaluate_preconditions(Conditions(if_unmodified_since=date), LATE_COMMIT, NOW) is opposite
    assert if_range_matches(date, LATE_COMMIT, NOW) is (seconds == 0)


IF_RANGE_CASES = [
    ("13.1.5", None, True),
    ("13.1.5", '"abc-2"', True),
    ("5.5", ' "abc-2" ', True),
    ("13.1.5", 'W/"abc-2"', False),
    ("13.1.5", '"x"', False),
    ("13.1.5", SAME, True),
    ("13.1.5", BEFORE, False),
    ("13.1.5", AFTER, False),
    ("13.1.5", "Sun Nov  6 08:49:37 1994", True),
    ("13.1.5", "*", False),
    ("13.1.5", '"x", "abc-2"', False),
    ("13.1.5", "abc-2", False),
    ("13.1.5", "", False),
]


@pytest.mark.parametrize(("section", "value", "applies"), IF_RANGE_CASES)
def test_range_applies_cases_match_rfc(section: str, value: str | None, applies: bool) -> None:
    """A Range header applies with an equal strong tag or an equal date, and is ignored otherwise."""
    assert if_range_matches(value, CURRENT, NOW) is applies


DATE_CASES = [
    ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
    ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
    ("Sun Nov  6 08:49:37 1994", 784_111_777),
    ("Sun Nov 06 08:49:37 1994", 784_111_777),
    ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
    ("Wed, 31 Dec 1969 23:59:59 GMT", -1),
    ("Thu, 29 Feb 2024 12:00:00 GMT", 1_709_208_000),
    ("Sat, 31 Dec 2016 23:59:60 GMT", 1_483_228_800),
    ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
    # NOW is in 2026: year 76 is 50 years later and is 2076; year 77 is more than 50 years later and is 1977.
    ("Wednesday, 01-Jan-76 00:00:00 GMT", 3_345_062_400),
    ("Saturday, 01-Jan-77 00:00:00 GMT", 220_924_800),
    ("Sun, 06 Nov 1994 08:49:37 +0000", None),
    ("Sun, 06 Nov 1994 08:49:37 UTC", None),
    ("Sun, 6 Nov 1994 08:49:37 GMT", None),
    ("sun, 06 nov 1994 08:49:37 gmt", None),
    ("Sun, 06 Nov 94 08:49:37 GMT", None),
    ("Wed, 30 Feb 2022 00:00:00 GMT", None),
    ("Sun, 06 Nov 1994 24:00:00 GMT", None),
    ("Sun, 06 Nov 1994 08:60:00 GMT", None),
    ("Sun, 06 Nov 1994 08:49:61 GMT", None),
    ("Sun, 00 Nov 1994 08:49:37 GMT", None),
    ("Mon, 01 Jan 0000 00:00:00 GMT", None),
    ("1994-11-06T08:49:37Z", None),
    ("784111777", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "epoch_seconds"), DATE_CASES)
def test_parse_date_cases_match_rfc(text: str, epoch_seconds: int | None) -> None:
    """The three forms of section 5.6.7 are parsed in their exact spelling, and nothing else."""
    assert parse_http_date(text, NOW) == epoch_seconds


@given(st.integers(0, 253_402_300_799))
def test_format_date_any_time_round_trips(epoch_seconds: int) -> None:
    """Every second is parsed from its IMF-fixdate."""
    assert parse_http_date(format_http_date(epoch_seconds), NOW) == epoch_seconds


def test_format_date_rfc_example() -> None:
    """The example of section 5.6.7 is formatted as printed there."""
    assert format_http_date(784_111_777) == SAME


@given(st.text(max_size=60))
def test_evaluate_any_text_never_raises(value: str) -> None:
    """Any header value has an outcome."""
    for sent in (value, f'"{value}"', f"Sun, {value} GMT"):
        evaluate_preconditions(Conditions(sent, sent, sent, sent, sent), CURRENT, NOW)
        if_range_matches(sent, CURRENT, NOW)
