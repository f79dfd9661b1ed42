"""Which requests are repeated, after how long, and until when."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from client.tests.fake_responses import problem, reply
from client.tests.fake_service import FakeService
from ferry_client.client import Ferry
from ferry_client.errors import FerryError, NetworkError
from ferry_client.retries import RetryClock, retry_after_seconds, retry_delay
from ferry_client.transport import HttpRequest, HttpResponse, TransportError

Connect = Callable[..., Ferry]


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("7", "", 7.0),
        ("0", "", 0.0),
        ("Wed, 21 Oct 2026 07:28:10 GMT", "Wed, 21 Oct 2026 07:28:00 GMT", 10.0),
        ("Wed, 21 Oct 2026 07:27:00 GMT", "Wed, 21 Oct 2026 07:28:00 GMT", 0.0),
        ("²", "", None),
        ("-1", "", None),
        ("soon", "", None),
        ("", "", None),
        ("9" * 400, "", 999_999_999.0),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date(value: str, date: str, seconds: float | None) -> None:
    """A date is compared with the server's own clock: this machine's may be an hour off."""
    assert retry_after_seconds({"retry-after": value, "date": date}) == seconds


def test_pauses_grow_are_spread_and_bounded() -> None:
    """Half a second at first, 20 seconds at most, a minute and a fifth where the server asks for an hour."""
    delays = [[retry_delay(attempt) for _ in range(50)] for attempt in (1, 3, 50)]
    assert all(0.25 <= delay <= 0.5 for delay in delays[0])
    assert all(1 <= delay <= 2 for delay in delays[1])
    assert all(10 <= delay <= 20 for delay in delays[2])
    asked = {retry_delay(1, 3600.0) for _ in range(50)}
    assert all(60 <= delay <= 72 for delay in asked)
    assert len(asked) > 40


def test_time_without_success_starts_anew_after_the_caller_gave_up() -> None:
    """A daemon that failed in the night, or a cell of a notebook that was stopped, gets its whole time again."""
    now = [0.0]
    clock = RetryClock(900.0, now=lambda: now[0])
    assert not clock.is_exhausted(1)
    now[0] = 899
    assert not clock.is_exhausted(2)
    now[0] = 901
    assert clock.is_exhausted(3)
    now[0] = 902
    assert clock.is_exhausted(1), "the next request of the same outage"
    now[0] = 5000
    assert not clock.is_exhausted(1)
    now[0] = 5900
    assert clock.is_exhausted(2), "attempts that take long are of one outage"


@pytest.mark.parametrize(
    "call",
    [
        lambda ferry: ferry.links.create_upload(),
        lambda ferry: ferry.restore("x", if_exists="rename"),
    ],
    ids=["link", "restore under rename"],
)
@pytest.mark.parametrize("is_cut", [True, False], ids=["cut", "503"])
def test_request_that_is_not_repeatable_is_sent_once(
    connect: Connect, fake: FakeService, call: Callable[[Ferry], object], *, is_cut: bool
) -> None:
    """A second link, or a second restored file, would come of a repetition."""

    def lose(request: HttpRequest) -> HttpResponse | None:
        if "/auth" in request.url:
            return None
        if is_cut:
            raise TransportError("the connection broke")
        return problem(503, "service_unavailable", "x")

    fake.before.append(lose)
    with pytest.raises(NetworkError if is_cut else FerryError):
        call(connect())
    assert len([request for request in fake.requests if "/auth" not in request.url]) == 1


def test_request_that_was_never_sent_is_repeated_also_if_it_is_not_repeatable(
    connect: Connect, fake: FakeService
) -> None:
    """Where there was no connection, or the server says 429, nothing has happened."""
    faults: Iterator[object] = iter([TransportError("no connection", is_unsent=True), HttpResponse(429, {})])

    def fail(request: HttpRequest) -> HttpResponse | None:
        fault = next(faults, None) if "/links" in request.url else None
        if isinstance(fault, TransportError):
            raise fault
        return fault  # type: ignore[return-value]

    fake.before.append(fail)
    assert connect().links.create_upload().url
    assert len(fake.links) == 1


def test_move_whose_response_is_lost_succeeds(connect: Connect, fake: FakeService) -> None:
    """The content is named by its ETag, so the service responds to a repetition as to the first request."""
    fake.put_file("a", b"1")
    ferry, lost = connect(), list[HttpRequest]()

    def lose(request: HttpRequest) -> HttpResponse | None:
        if "/files/move" in request.url and not lost:
            lost.append(request)
            raise TransportError("the connection broke")
        return None

    fake.after.append(lose)
    fake.before.append(
        lambda request: reply(200, fake.record("b", fake.files["b"])) if lost and "move" in request.url else None
    )
    assert ferry.move("a", "b").name == "b"
    assert lost[0].body is not None
    assert b'"etag"' in b"".join(lost[0].body.blocks(lambda: 1000))
