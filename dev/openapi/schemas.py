"""JSON Schemas of the OpenAPI document, generated from the response dataclasses and the request models.

Pydantic writes the schemas. Descriptions are the docstrings of the classes and of their attributes. What no type
describes is written here by hand: the gateway's own message and the form of the token endpoint.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import BaseModel, TypeAdapter

from ferry.http import models, responses
from ferry.model import links
from ferry.status import upload_status

Schema = dict[str, Any]

REF_TEMPLATE = "#/components/schemas/{model}"

GATEWAY_MESSAGE: Schema = {
    "type": "object",
    "description": "The body of a response that the gateway sends without calling a function.",
    "properties": {"message": {"type": "string", "description": "What the gateway says."}},
    "required": ["message"],
}
_TOKEN_MEMBERS: Schema = {
    "type": "object",
    "properties": {
        "grant_type": {"type": "string", "enum": ["client_credentials"], "description": "Always `client_credentials`."},
        "client_id": {"type": "string", "description": "The client's id; absent with HTTP Basic."},
        "client_secret": {"type": "string", "description": "The client's secret; absent with HTTP Basic."},
        "scope": {
            "type": "string",
            "description": "Scopes, separated by spaces; without it, every scope that the client has.",
        },
    },
    "required": ["grant_type"],
}
TOKEN_FORM: Schema = {
    "description": "A token request (RFC 6749 section 4.4.2). Unknown members are ignored.",
    **_TOKEN_MEMBERS,
}
TOKEN_REQUEST: Schema = {
    "description": "A token request as JSON. Unknown members are ignored.",
    **_TOKEN_MEMBERS,
}
"""Not the schema of the form: openapi-python-client distinguishes the bodies of an operation by their classes."""


def reference(name: str) -> Schema:
    """Return a reference to a component schema."""
    return {"$ref": REF_TEMPLATE.format(model=name)}


def build_schemas(types: Iterable[Any]) -> tuple[dict[Any, Schema], dict[str, Schema]]:
    """Return the schema of each type, by type, and the component schemas that they refer to, by name."""
    mode = {kind: "validation" if _is_model(kind) else "serialization" for kind in types}
    schemas, definitions = TypeAdapter.json_schemas(
        [(kind, how, TypeAdapter(kind)) for kind, how in mode.items()],  # type: ignore[misc]  # the literal is widened
        ref_template=REF_TEMPLATE,
    )
    components: dict[str, Schema] = definitions["$defs"]
    classes = {kind.__name__: kind for kind in _described_classes()}
    for name, schema in components.items():
        _describe(classes[name], schema)
    components |= {"GatewayMessage": GATEWAY_MESSAGE, "TokenForm": TOKEN_FORM, "TokenRequest": TOKEN_REQUEST}
    return {kind: schema for (kind, _), schema in schemas.items()}, dict(sorted(components.items()))


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _described_classes() -> Iterator[type]:
    """Yield the classes whose names may be those of components."""
    names = [
        f"{package.__name__}.{module.name}"
        for package in (models, responses)
        for module in pkgutil.iter_modules(package.__path__)
    ]
    for module in (upload_status, links, *map(importlib.import_module, names)):
        yield from (member for member in vars(module).values() if isinstance(member, type))


def _describe(kind: type, schema: Schema) -> None:
    """Complete the schema that Pydantic wrote for a class: descriptions, required members, and no made-up titles."""
    schema.pop("title", None)
    schema["description"] = _plain(inspect.getdoc(kind) or "")
    if "properties" not in schema:
        return
    descriptions = attribute_docstrings(kind)
    for name, member in schema["properties"].items():
        member.pop("title", None)
        # A member whose name is a keyword of Python is an attribute with an underscore behind it.
        description = descriptions.get(name) or descriptions.get(f"{name}_")
        if description:
            member["description"] = description
    if is_dataclass(kind):
        _describe_dataclass(kind, schema)


def _describe_dataclass(kind: Any, schema: Schema) -> None:
    """A response has every member but those declared with `OMIT_NONE`, which are never null, and no other members."""
    omitted = {field.name for field in fields(kind) if "omit_none" in field.metadata}
    schema["required"] = [field.name for field in fields(kind) if field.name not in omitted]
    schema["additionalProperties"] = False
    for name, member in schema["properties"].items():
        member.pop("default", None)
        if name in omitted:
            [present] = [choice for choice in member.pop("anyOf") if choice != {"type": "null"}]
            member |= {**present, **member}
    names = {field.name: field.metadata["json_name"] for field in fields(kind) if "json_name" in field.metadata}
    schema["properties"] = {names.get(name, name): member for name, member in schema["properties"].items()}


def attribute_docstrings(kind: type) -> Mapping[str, str]:
    """Return the strings directly below the annotated attributes of a class and its bases, by attribute."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.partition(".")[0] != "ferry":
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        assert isinstance(body, ast.ClassDef)
        for attribute, following in zip(body.body, body.body[1:], strict=False):
            match attribute, following:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[name] = _plain(text)
    return found


def _plain(text: str) -> str:
    """Return a docstring with its paragraphs on one line each."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
