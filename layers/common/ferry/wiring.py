"""The composition root: factories, each kept for the life of the process, so that a function makes only what it uses.

Imports are inside on purpose: a function that checks tokens and reads one table must not load what signs tokens.
"""

from __future__ import annotations

import os
from functools import cache, partial
from typing import TYPE_CHECKING

from ferry.aws.clock import wall_clock
from ferry.settings import Settings

if TYPE_CHECKING:
    from ferry.access.issue import Issuer
    from ferry.access.keyring import KeyCache
    from ferry.access.verify import TokenCheck
    from ferry.aws.session import AwsSession
    from ferry.engine import Engine
    from ferry.outbound import Events, Seats, Worker
    from ferry.trust import AccessStore


JWKS_SECONDS, JWKS_BYTES = 3.0, 256 * 1024
"""What an issuer's key set may take at most."""


@cache
def settings() -> Settings:
    return Settings.from_environment(os.environ)


def log_file_names() -> bool:
    return settings().log_file_names


def tracing() -> bool:
    """Whether requests are traced."""
    return settings().tracing


@cache
def session() -> AwsSession:
    from ferry.aws.session import AwsSession

    return AwsSession(settings().endpoints)


@cache
def access_store() -> AccessStore:
    from ferry.aws.access_table import AccessTable

    return AccessTable(session().dynamodb, settings().access_table)


@cache
def keys() -> KeyCache:
    from ferry.access.keyring import KeyCache

    return KeyCache(access_store(), wall_clock, settings().access_cache)


@cache
def verifier() -> TokenCheck:
    """Who checks tokens: Ferry's own, those of an issuer outside, or both."""
    from ferry.access.verify import Verifier

    trust = settings().outside
    own = Verifier(keys(), issuer=settings().issuer, audience=settings().audience)
    if trust is None:
        return own
    from ferry.access.outside import EitherVerifier, OutsideKeys, OutsideVerifier
    from ferry.web import check_url, fetch

    check_url(trust.jwks_url, plain_on_loopback=bool(settings().endpoints))
    fetch_keys = partial(fetch, trust.jwks_url, seconds=JWKS_SECONDS, most=JWKS_BYTES)
    outside = OutsideVerifier(OutsideKeys(fetch_keys, wall_clock), trust)
    return EitherVerifier(own, outside, trust.issuer) if settings().own_tokens else outside


@cache
def issuer() -> Issuer:
    """Who issues tokens, and publishes the keys they are checked with."""
    from ferry.access.issue import Issuer
    from ferry.aws.kms import KmsSigner

    return Issuer(
        store=access_store(),
        keys=keys(),
        signer=KmsSigner(session().kms),
        clock=wall_clock,
        key_ref=settings().signing_key,
        issuer=settings().issuer,
        audience=settings().audience,
        lifetime=settings().token_lifetime,
        issues=settings().own_tokens,
    )


@cache
def worker() -> Worker:
    """Who goes on with completions that take too long here. Beside stand-ins there is one only if they have it too."""
    name, endpoints = settings().cleanup_function, settings().endpoints
    if not name or (endpoints and "lambda" not in endpoints):
        from ferry.engine import NoWorker

        return NoWorker()
    from ferry.aws.worker import LambdaWorker

    return LambdaWorker(session().lambda_, name)


@cache
def seats() -> Seats | None:
    """Places for calls that wait, in the one function where any do."""
    if not settings().most_waiting:
        return None
    from ferry.aws.seats import DynamoSeats

    return DynamoSeats(session().dynamodb, settings().ledger_table, settings().most_waiting)


@cache
def events() -> Events | None:
    """Who tells others what has changed, if anybody is to. Beside stand-ins only where they have a bus too."""
    bus, endpoints = settings().event_bus, settings().endpoints
    if not bus or (endpoints and "events" not in endpoints):
        return None
    from ferry.aws.events import BusEvents

    return BusEvents(lambda: session().events, bus, settings().bucket, wall_clock)


@cache
def engine() -> Engine:
    """What the use cases work with."""
    from ferry.aws.ledger import DynamoLedger
    from ferry.aws.objects import S3Objects
    from ferry.engine import Engine

    return Engine(
        ledger=DynamoLedger(session().dynamodb, settings().ledger_table, wall_clock),
        objects=S3Objects(session().s3, settings().bucket, session().s3_public),
        worker=worker(),
        clock=wall_clock,
        session_idle=settings().session_idle,
        session_max_age=settings().session_max_age,
        url_lifetime=settings().url_lifetime,
        lease=settings().lease,
        mending=settings().mending,
        seats=seats(),
        keep_objects=settings().keep_objects,
        events=events(),
    )
