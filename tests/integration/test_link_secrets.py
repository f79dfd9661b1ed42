"""The secret and the password of a link: in no log, metric, audit event, event, row or error."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from ferry import wiring
from ferry.aws.event_publisher import EventBridgePublisher, event_detail
from ferry.errors import BackendUnavailable
from ferry.model.events import Event
from tests.integration.link_secrets import PASSWORD, WRONG, create, use_everything
from tests.integration.stack import Stack
from tests.support.protocol_client import by_secret, tus_client


def test_secrets_of_links_are_in_no_output(
    stack: Stack,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever succeeds, is rejected or fails: what is logged, stored and published names the link by its id."""
    caplog.set_level("DEBUG", logger="ferry")
    published: list[str] = []

    def publish(_: EventBridgePublisher, events: Sequence[Event]) -> None:
        published.extend(json.dumps(event_detail(event, "bucket")) for event in events)

    monkeypatch.setattr(EventBridgePublisher, "publish", publish)
    link, secret = create(stack, kind="upload", prefix="secrets/", max_files=3)
    _, password_secret = create(stack, kind="upload", prefix="secrets/", password=PASSWORD)
    answers = use_everything(stack, secret, password_secret)
    store = wiring.services().upload_repository
    for error in (BackendUnavailable("DynamoDB"), RuntimeError("a defect")):

        def fail(*_: object, error: Exception = error) -> None:
            raise error

        with monkeypatch.context() as broken:
            broken.setattr(type(store), "get_upload", fail)
            broken.setattr(type(wiring.links().repository), "get_usages", fail)
            tus = by_secret(tus_client(stack), secret)
            answers += [tus.head("f" * 32), tus.patch("f" * 32, 0, b"x")]
            answers.append(stack.request("GET /l/{secret}", path={"secret": secret}))
    assert {answer.status for answer in answers} >= {200, 201, 400, 401, 403, 404, 422, 500, 503}
    output = capsys.readouterr()
    dynamodb, settings = wiring.aws_session().dynamodb, wiring.settings()
    tables = [dynamodb.scan(TableName=name)["Items"] for name in (settings.metadata_table, settings.auth_table)]
    errors = [answer.body.decode() for answer in answers if answer.status >= 400]
    everything = "\n".join([output.out, output.err, caplog.text, *published, str(tables), *errors])
    assert link["link_id"] in everything
    assert "ferry.link.created" in everything
    assert "wrong_password" in everything
    for hidden in (secret, password_secret, secret[:-1], PASSWORD, WRONG):
        at = everything.find(hidden)
        assert at < 0, everything[max(0, at - 300) : at + 100]
