"""The contract of the permit pool."""

from __future__ import annotations

from dev.fakes.clock import START
from ferry.ports.permit_pool import PermitPool

EXPIRES_AT = START + 20_000


def test_acquire_beyond_max_returns_none(permit_pool: PermitPool) -> None:
    """Three permits can be held; a released one is available once, however often it is released."""
    held = [permit_pool.acquire(expires_at=EXPIRES_AT, now=START) for _ in range(3)]
    assert len({permit for permit in held if permit is not None}) == 3
    assert permit_pool.acquire(expires_at=EXPIRES_AT, now=START) is None
    assert held[1] is not None
    for _ in range(2):
        permit_pool.release(held[1])
    assert permit_pool.acquire(expires_at=EXPIRES_AT, now=START) is not None
    assert permit_pool.acquire(expires_at=EXPIRES_AT, now=START) is None


def test_acquire_after_expiry_reuses_permit(permit_pool: PermitPool) -> None:
    """A permit that is not released is available after its expiry, and not before."""
    for expires_at in (START + 5, START + 5, EXPIRES_AT):
        assert permit_pool.acquire(expires_at=expires_at, now=START) is not None
    assert permit_pool.acquire(expires_at=EXPIRES_AT, now=START + 5) is None
    assert [permit_pool.acquire(expires_at=EXPIRES_AT, now=START + 6) is None for _ in range(3)] == [False, False, True]


def test_acquire_after_last_release_succeeds(permit_pool: PermitPool) -> None:
    """A pool whose permits are all released works like a new one."""
    for _ in range(2):
        permit = permit_pool.acquire(expires_at=EXPIRES_AT, now=START)
        assert permit is not None
        permit_pool.release(permit)
