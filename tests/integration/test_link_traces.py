"""What X-Ray gets of requests by links and by clients, where tracing is on: no secret, no token, no name, no URL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ferry.http.tracing import with_tracing
from tests.integration.link_secrets import PASSWORD, WRONG, create, use_everything
from tests.integration.stack import Stack, function_modules
from tests.support.secret_recorder import SecretRecorder, find_leaks

TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
DESCRIBED = {
    *("operation", "region", "request_id", "id_2", "consumed_capacity", "consistent_read"),
    *("table_name", "table_names", "bucket_name", "key", "version_id"),
}
"""What a trace may say of a call to AWS. A key is that of an object, which has no part of a name."""

NAME = "secrets/name of a file.txt"


class Emitter:
    """Keeps what would go to X-Ray's daemon."""

    def __init__(self) -> None:
        self.documents: list[dict[str, Any]] = []

    def send_entity(self, entity: Any) -> None:
        self.documents.append(json.loads(entity.serialize()))


@pytest.fixture
def emitter(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emitter]:
    """The functions with tracing, as on Lambda. Afterwards botocore is as before."""
    import botocore.client
    import botocore.endpoint

    for owner, name in (
        (botocore.client.BaseClient, "_make_api_call"),
        (botocore.endpoint.Endpoint, "prepare_request"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    monkeypatch.setenv("LAMBDA_TASK_ROOT", "/var/task")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", TRACE)
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "stack")
    from aws_xray_sdk.core import patcher, xray_recorder
    from aws_xray_sdk.core.lambda_launcher import LambdaContext

    emitter = Emitter()
    monkeypatch.setattr(xray_recorder, "_context", LambdaContext())
    monkeypatch.setattr(xray_recorder, "_emitter", emitter)
    for module in function_modules().values():
        monkeypatch.setattr(module, "lambda_handler", with_tracing(module.app.handle, lambda: True))
    yield emitter
    patcher._PATCHED_MODULES.discard("botocore")
    vars(botocore.client).pop("_xray_enabled", None)


def subsegments(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a segment and all below it."""
    yield document
    for each in document.get("subsegments", ()):
        yield from subsegments(each)


def test_traces_hold_no_secret_and_no_name(stack: Stack, emitter: Emitter) -> None:
    """Traces hold names of functions, operations, tables, the bucket and keys of objects, and statuses: nothing that a
    request sent, of a path below /l/ neither.
    """
    stack.request("PUT /files/{filename+}", filename=NAME, body=b"content")
    link, secret = create(stack, kind="upload", prefix="secrets/", max_files=3)
    _, password_secret = create(stack, kind="upload", prefix="secrets/", password=PASSWORD)
    _, download_secret = create(stack, kind="download", filename=NAME)
    use_everything(stack, secret, password_secret)
    for query in ({}, {"disposition": "inline"}, {"redirect": "false"}):
        stack.request("GET /l/{secret}/download", path={"secret": download_secret}, query=query)
    recorder = SecretRecorder({secret, password_secret, download_secret, PASSWORD, WRONG}, {NAME, "secrets/"})
    text = json.dumps(emitter.documents)
    assert list(find_leaks(text, recorder)) == []
    assert "/l/" not in text
    found = [each for document in emitter.documents for each in subsegments(document)]
    assert {each["name"] for each in found} == {"## handle", "dynamodb", "events", "kms", "s3"}
    assert {name for each in found for name in each.get("annotations", {})} == {"ColdStart", "Service"}
    assert not [each for each in found if "metadata" in each]
    assert {json.dumps(sorted(each["http"])) for each in found if "http" in each} == {'["response"]'}
    described = {name for each in found for name in each.get("aws", {})}
    assert described <= DESCRIBED
    assert {"operation", "table_name", "key"} <= described
    assert link["link_id"] not in text
