"""The contract of the seats for those who wait: so many at once, none for ever."""

from __future__ import annotations

from ferry.outbound import Seats
from tests.fakes.clock import START

UNTIL = START + 20_000


def test_so_many_and_no_more(seats: Seats) -> None:
    """Three may wait here; who leaves makes room, once."""
    taken = [seats.take(until=UNTIL, now=START) for _ in range(3)]
    assert len({seat for seat in taken if seat is not None}) == 3
    assert seats.take(until=UNTIL, now=START) is None
    assert taken[1] is not None
    for _ in range(2):
        seats.leave(taken[1])
    assert seats.take(until=UNTIL, now=START) is not None
    assert seats.take(until=UNTIL, now=START) is None


def test_a_seat_lapses(seats: Seats) -> None:
    """Whoever did not say that they left is forgotten once their time is over, and not before."""
    for until in (START + 5, START + 5, UNTIL):
        assert seats.take(until=until, now=START) is not None
    assert seats.take(until=UNTIL, now=START + 5) is None
    assert [seats.take(until=UNTIL, now=START + 6) is None for _ in range(3)] == [False, False, True]


def test_the_last_to_leave(seats: Seats) -> None:
    """An empty room is like a new one."""
    for _ in range(2):
        seat = seats.take(until=UNTIL, now=START)
        assert seat is not None
        seats.leave(seat)
