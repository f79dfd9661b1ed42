"""The layer's descriptions of services have the operations that Ferry uses, and what these need."""

from __future__ import annotations

import gzip
import importlib.util
import json
from pathlib import Path
from typing import Any

from botocore import xform_name
from botocore.loaders import Loader

LAYER = Path(__file__).parents[2] / "layers/common"
SERVICES = ("dynamodb", "events", "kms", "lambda", "s3")


def load_trim() -> Any:
    specification = importlib.util.spec_from_file_location("trim", LAYER / "trim.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def shipped_description(service: str) -> Any:
    """Return what botocore ships, without the operations that an emulator adds to its loaders."""
    folder = max((Path(Loader.BUILTIN_DATA_PATH) / service).iterdir())
    return json.loads(gzip.decompress((folder / "service-2.json.gz").read_bytes()))


def test_method_names_are_those_of_clients() -> None:
    """The name by which an operation is looked for is that of the client's method."""
    trim = load_trim()
    for service in SERVICES:
        for operation in shipped_description(service)["operations"]:
            assert trim.method_name(operation) == xform_name(operation)


def test_description_without_unused_operations_has_all_shapes_of_the_others() -> None:
    """An operation that the sources name stays, with every shape that it refers to; the others go."""
    description = shipped_description("dynamodb")
    trimmed = load_trim().without_unused_operations(description, {"put_item", "query"})
    assert list(trimmed["operations"]) == ["PutItem", "Query"]
    for name in trimmed["operations"]:
        assert trimmed["operations"][name] == description["operations"][name]
    assert {"PutItemInput", "AttributeValue", "MapAttributeValue", "ConditionalCheckFailedException"} <= set(
        trimmed["shapes"]
    )
    assert "CreateTableInput" not in trimmed["shapes"]
    named = set(json.dumps(trimmed["shapes"]).split('"shape": "')[1:])
    assert {text.partition('"')[0] for text in named} <= set(trimmed["shapes"])
