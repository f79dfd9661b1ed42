"""The contract of the seats for those who wait: so many at once, none for ever."""

from __future__ import annotations

from dev.fakes.clock import START
from ferry.ports.permit_pool import PermitPool

EXPIRES_AT = START + 20_000


def test_acquire_beyond_max_returns_none(permit_pool: PermitPool) -> None:
    """Three may wait here; who leaves makes room, once."""
    taken = [permit_pool.acquire(expires_at=EXPIRES_AT, now=START) for _ in range(3)]
    assert len({seat for seat in taken if seat is not None}) == 3
    assert permit_pool.acquire(expires_at=EXPIRES_AT, now=START) is None
    assert taken[1] is not None
    for _ in range(2):
        permit_pool.release(taken[1])
    assert permit_pool.acquire(expires_at=EXPIRES_AT, now=START) is not None
    assert permit_pool.acquire(expires_at=EXPIRES_AT, now=START) is None


def test_acquire_after_expiry_reuses_permit(permit_pool: PermitPool) -> None:
    """Whoever did not say that they left is forgotten once their time is over, and not before."""
    for until in (START + 5, START + 5, EXPIRES_AT):
        assert permit_pool.acquire(expires_at=until, now=START) is not None
    assert permit_pool.acquire(expires_at=EXPIRES_AT, now=START + 5) is None
    assert [permit_pool.acquire(expires_at=EXPIRES_AT, now=START + 6) is None for _ in range(3)] == [False, False, True]


def test_acquire_after_last_release_succeeds(permit_pool: PermitPool) -> None:
    """An empty room is like a new one."""
    for _ in range(2):
        seat = permit_pool.acquire(expires_at=EXPIRES_AT, now=START)
        assert seat is not None
        permit_pool.release(seat)
