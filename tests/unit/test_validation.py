"""JSON bodies are checked as the OpenAPI document describes them, and every error has its place and a message."""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ferry.errors import InvalidField
from ferry.http.models.body import Body
from ferry.http.models.chunks import ChunkBody
from ferry.http.models.completions import CompleteBody
from ferry.http.models.file_changes import DeleteFilesBody, MoveBody, RestoreBody
from ferry.http.models.files import FilePatchBody
from ferry.http.models.links import LinkTokenBody
from ferry.http.models.parts import PartsBody
from ferry.http.models.start import StartBody
from ferry.http.validation import MAX_ERRORS, validate

DOCUMENT = Path(__file__).parents[2] / "docs/openapi.json"
MODELS: tuple[type[Body], ...] = (
    StartBody,
    ChunkBody,
    CompleteBody,
    PartsBody,
    MoveBody,
    RestoreBody,
    DeleteFilesBody,
    LinkTokenBody,
)
"""Models whose members have no check but those that JSON Schema can express, `CHECKED` excepted."""
CHECKED = {"content_type", "fingerprint", "metadata"}
CHECKSUM = {"algorithm": "crc32c", "value": "AAAAAA=="}
VALUES: tuple[Any, ...] = (
    *(True, 0, 1, -1, 10**30, "", "x", "x" * 128, "x" * 129, "x" * 257, "fail", "rename", "replace"),
    *([], {}, ["a"], ["a"] * 101, ["a", {"filename": "b"}], [{"filename": "b", "more": 1}], [1]),
    *([{"part_number": 1}], [{"part_number": 1}] * 101, [{"part_number": "1"}], [{"part_number": 1, "checksum": None}]),
    *(CHECKSUM, {"algorithm": "crc32c"}, {**CHECKSUM, "value": 1}, {**CHECKSUM, "more": 1}),
)
VALID: dict[str, Any] = {"filename": "a", "size": 1, "chunk_index": 1, "data": "", "from": "a", "to": "b"}


def errors_of(model: type[Body], value: object) -> list[tuple[list[str | int], str]]:
    """The errors of a value: where each is, and its message."""
    try:
        validate(model, value)
    except InvalidField as error:
        return [(each["loc"], each["msg"]) for each in error.extra["errors"]]
    return []


@cache
def components() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DOCUMENT.read_text(encoding="utf-8"))["components"]
    return found


@pytest.mark.parametrize("model", MODELS)
def test_validation_accepts_what_openapi_document_accepts(model: type[Body]) -> None:
    """Of 400 bodies whose members have values of every kind, those are accepted that the model's schema accepts."""
    schema = components()["schemas"][model.__name__]
    checker = Draft202012Validator({**schema, "components": components()})
    names = [name for name in schema["properties"] if name not in CHECKED]
    choices = random.Random(model.__name__)
    accepted = 0
    for _ in range(400):
        body = {name: VALID[name] for name in names if name in VALID and choices.random() < 0.95}
        for name in (*names, "more"):
            if choices.random() < 0.3 / len(names):
                body[name] = choices.choice(VALUES)
        if model in (PartsBody, DeleteFilesBody):
            body.setdefault("parts" if model is PartsBody else "filenames", choices.choice(VALUES))
        is_valid = checker.is_valid(body)
        assert (errors_of(model, body) == []) == is_valid, body
        accepted += is_valid
    assert 5 < accepted < 400


@pytest.mark.parametrize("value", [None, [], "a", 1, True])
def test_validation_of_value_that_is_no_object_rejects_whole_body(value: object) -> None:
    """The error of a body that is no object has an empty path."""
    assert errors_of(StartBody, value) == [([], "must be an object")]


def test_validation_lists_errors_in_order_of_members_then_unknown_ones() -> None:
    """Members are in the order in which the document has them; a long name is cut."""
    assert errors_of(StartBody, {"z" * 80: 1, "size": "1", "if_exists": "maybe", "checksum": {}}) == [
        (["filename"], "is required"),
        (["size"], "must be an integer"),
        (["checksum", "algorithm"], "is required"),
        (["checksum", "value"], "is required"),
        (["if_exists"], "must be 'fail', 'rename' or 'replace'"),
        (["z" * 64], "is not a member of this request; omit it"),
    ]


def test_validation_of_integer_accepts_neither_true_nor_float() -> None:
    """Values are not coerced."""
    for value in (True, 1.0, "1"):
        assert errors_of(StartBody, {"filename": "a", "size": value}) == [(["size"], "must be an integer")]
    assert errors_of(StartBody, {"filename": "a", "size": 1, "resume": 1}) == [(["resume"], "must be true or false")]


def test_validation_of_too_long_array_has_one_error() -> None:
    """The items of an array that is too long are not read."""
    body = {"filename": "a", "parts": ["x"] * 101}
    assert errors_of(PartsBody, body) == [(["parts"], "must have at most 100 items")]
    many = errors_of(PartsBody, {**body, "parts": ["x"] * 100})
    assert many == [(["parts", index], "must be an object") for index in range(MAX_ERRORS)]


def test_validation_of_text_or_object_names_members_of_object() -> None:
    """A name to delete is text, or an object whose errors have their path."""
    assert errors_of(DeleteFilesBody, {"filenames": [1, "a", {"etag": None}]}) == [
        (["filenames", 0], "must be a string or an object"),
        (["filenames", 2, "filename"], "is required"),
        (["filenames", 2, "etag"], "must not be null; omit it to send no condition"),
    ]


def test_validation_keeps_which_members_were_sent() -> None:
    """A member that is null differs from one that is absent; a member's name in Python may differ from that in JSON."""
    assert validate(FilePatchBody, {"content_type": None}).sent_members == {"content_type"}
    assert validate(MoveBody, {"from": "a", "to": "b"}).from_ == "a"
    assert errors_of(MoveBody, {"from_": "a", "to": "b"}) == [
        (["from"], "is required"),
        (["from_"], "is not a member of this request; omit it"),
    ]


def test_model_with_password_hides_it_in_its_text() -> None:
    """The text of a model may reach a log."""
    assert "secret" not in repr(validate(LinkTokenBody, {"password": "secret"}))
