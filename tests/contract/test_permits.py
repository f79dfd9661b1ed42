"""The contract of the permit pool."""

from __future__ import annotations

from dev.fakes.clock import START_MS
from ferry.ports.permit_pool import PermitPool

EXPIRES_AT = START_MS + 20_000


def acquire(pool: PermitPool, ns: str, *, expires_at: int = EXPIRES_AT, now: int = START_MS) -> int | None:
    """Acquire a permit for a namespace."""
    return pool.acquire(ns, expires_at=expires_at, now=now)


def acquire_all(pool: PermitPool, ns: str) -> list[int]:
    """Acquire permits for a namespace until there is none for it."""
    held: list[int] = []
    while (permit := acquire(pool, ns)) is not None:
        held.append(permit)
    return held


def test_acquire_beyond_max_returns_none(permit_pool: PermitPool) -> None:
    """Three permits can be held; a released one is available once, however often it is released."""
    held = {ns: acquire(permit_pool, ns) for ns in ("a", "b", "c")}
    assert len({permit for permit in held.values() if permit is not None}) == 3
    assert acquire(permit_pool, "d") is None
    assert held["b"] is not None
    for _ in range(2):
        permit_pool.release("b", held["b"])
    assert acquire(permit_pool, "d") is not None
    assert acquire(permit_pool, "e") is None


def test_acquire_one_namespace_leaves_permit_for_others(permit_pool: PermitPool) -> None:
    """One namespace acquires two of three permits. The last one goes to a namespace that holds none."""
    assert len(acquire_all(permit_pool, "busy")) == 2
    other = acquire_all(permit_pool, "other")
    assert len(other) == 1
    permit_pool.release("other", other[0])
    assert acquire(permit_pool, "busy") is None
    assert acquire(permit_pool, "third") is not None


def test_acquire_after_own_release_succeeds(permit_pool: PermitPool) -> None:
    """A namespace that released a permit acquires another one."""
    held = acquire_all(permit_pool, "busy")
    permit_pool.release("busy", held[0])
    assert len(acquire_all(permit_pool, "busy")) == 1


def test_acquire_after_expiry_reuses_permit(permit_pool: PermitPool) -> None:
    """A permit that is not released is available after its expiry, and not before."""
    for ns, expires_at in (("a", START_MS + 5), ("a", START_MS + 5), ("b", EXPIRES_AT)):
        assert acquire(permit_pool, ns, expires_at=expires_at) is not None
    assert acquire(permit_pool, "c", now=START_MS + 5) is None
    results = [acquire(permit_pool, ns, now=START_MS + 6) for ns in ("c", "d", "e")]
    assert [permit is None for permit in results] == [False, False, True]


def test_acquire_own_expired_permits_do_not_count(permit_pool: PermitPool) -> None:
    """The expired permits of a namespace do not count against it, also while the pool has free permits."""
    for _ in range(2):
        assert acquire(permit_pool, "busy", expires_at=START_MS + 5) is not None
    assert acquire(permit_pool, "busy", now=START_MS + 5) is None
    assert acquire(permit_pool, "busy", now=START_MS + 6) is not None


def test_acquire_after_last_release_succeeds(permit_pool: PermitPool) -> None:
    """A pool whose permits are all released works like a new one."""
    for _ in range(2):
        permit = acquire(permit_pool, "a")
        assert permit is not None
        permit_pool.release("a", permit)
