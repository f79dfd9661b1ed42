"""Functions validate JSON bodies as the models do, although they load pydantic-core and the written schemas alone."""

from __future__ import annotations

import importlib
import json
import pkgutil
import random
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ferry.errors import InvalidField
from ferry.http import models, request_bodies
from ferry.http.models.body import Body
from ferry.http.request_bodies import FILE_PATCH, LINK_TOKEN, START, BodyReader

ROOT = Path(__file__).parents[2]
READERS = list(request_bodies.readers())
CHECKSUM = {"algorithm": "crc32c", "value": "AAAAAA=="}
VALUES: tuple[Any, ...] = (
    *(None, True, 0, 1, -1, 1.0, 61, 5_001, 10**15 + 1, 10**30, "", "x", "a\n", "é" * 129, "x" * 257, "text/plain"),
    *("fail", "rename", "replace", "download", "upload", [], {}, ["a"], ["a"] * 101, ["a", {"filename": "b"}], [1]),
    *([{"filename": "b", "more": 1}], [{"part_number": 1}], [{"part_number": 1}] * 101, [{"part_number": "1"}]),
    *(CHECKSUM, {"algorithm": "crc32c"}, {**CHECKSUM, "more": 1}, {"a": "b"}, {"a": None}, {"": "b"}, {"a": "b\n"}),
)
VALID: dict[str, Any] = {
    "filename": "a",
    "size": 1,
    "chunk_index": 1,
    "data": "",
    "from": "a",
    "to": "b",
    "kind": "download",
    "parts": [{"part_number": 1, "checksum": CHECKSUM}],
    "filenames": ["a", {"filename": "b"}],
    "metadata": {},
}


def model_of(reader: BodyReader[Any]) -> type[Body]:
    for module in pkgutil.iter_modules(models.__path__, f"{models.__name__}."):
        importlib.import_module(module.name)
    [model] = [kind for kind in Body.__subclasses__() if kind.__name__ == reader.model_name]
    return model


def as_value(member: Any) -> Any:
    """A member as plain values, whether a model or the functions' own object holds it."""
    if isinstance(member, list):
        return [as_value(item) for item in member]
    if isinstance(member, Body | request_bodies.ValidatedObject):
        members = {name: as_value(value) for name, value in vars(member).items() if not name.startswith("__")}
        return members, sorted(member.model_fields_set)
    return member


def outcome(validate: Callable[[], Any]) -> Any:
    """What `validate` returns, or where its errors are, as far as a response lists them."""
    try:
        return as_value(validate())
    except InvalidField as error:
        return [each["loc"] for each in error.extra["errors"]]
    except ValidationError as error:
        found = [[part if isinstance(part, int) else part[:64] for part in each["loc"]] for each in error.errors()]
        return found[:20]


def bodies_of(model: type[Body]) -> list[Any]:
    """Bodies whose members have values of every kind, most of them valid."""
    choices = random.Random(model.__name__)
    names = [field.alias or name for name, field in model.model_fields.items()]
    found: list[Any] = [None, [], "a", 1, {}]
    for _ in range(300):
        body = {name: VALID[name] for name in names if name in VALID and choices.random() < 0.95}
        for name in (*names, "more", "m" * 80):
            if choices.random() < 0.5 / len(names):
                body[name] = choices.choice(VALUES)
        found.append(body)
    return found


@pytest.mark.parametrize("reader", READERS, ids=[reader.model_name for reader in READERS])
def test_reader_validates_as_its_model_does(reader: BodyReader[Any]) -> None:
    """What a function accepts, rejects and reads equals what pydantic makes of the model."""
    model, accepted, rejected = model_of(reader), 0, 0
    for value in bodies_of(model):
        expected = outcome(partial(model.model_validate, value))
        assert outcome(partial(reader.validate, value)) == expected, value
        rejected += isinstance(expected, list)
        accepted += isinstance(expected, tuple)
    assert accepted > 20
    assert rejected > 10


def test_readers_are_annotated_with_their_models() -> None:
    """The type that a reader declares is the model whose name it has."""
    for name, annotation in request_bodies.__annotations__.items():
        reader = getattr(request_bodies, name, None)
        if isinstance(reader, BodyReader):
            assert annotation == f"BodyReader[{reader.model_name}]", name
    assert len(READERS) == len({each.model_name for each in READERS}) > 10


def test_errors_have_ferrys_messages() -> None:
    """An error says what is wrong in words that pydantic's versions do not change."""
    with pytest.raises(InvalidField) as raised:
        START.validate({"size": "1", "if_exists": "maybe", "checksum": {}, "content_type": "no type", "more": 1})
    assert [(each["loc"], each["msg"]) for each in raised.value.extra["errors"]] == [
        (["filename"], "is required"),
        (["size"], "must be an integer"),
        (["content_type"], "must be a media type, such as text/plain; charset=utf-8"),
        (["checksum", "algorithm"], "is required"),
        (["checksum", "value"], "is required"),
        (["if_exists"], "must be 'fail', 'rename' or 'replace'"),
        (["more"], "is not a member of this request; omit it"),
    ]


def test_member_that_is_null_differs_from_one_that_is_absent() -> None:
    """A merge patch with null changes what one without the member keeps."""
    assert FILE_PATCH.validate({"content_type": None}).model_fields_set == {"content_type"}
    assert FILE_PATCH.validate({}).model_fields_set == set()


def test_text_of_body_has_no_password() -> None:
    """The text of a body may reach a log."""
    assert "secret" not in repr(LINK_TOKEN.validate({"password": "secret"}))


def test_first_body_does_not_load_pydantic() -> None:
    """Validation loads pydantic-core alone, which takes a seventh of the time."""
    script = (
        "import json, sys\nfrom ferry.http import request_bodies\n"
        "for reader in request_bodies.readers(): reader.validator()\n"
        "print(json.dumps([name for name in ('pydantic', 'pydantic_core') if name in sys.modules]))"
    )
    env = {"PYTHONPATH": str(ROOT / "layers/common")}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["pydantic_core"]
