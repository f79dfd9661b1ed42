"""Render docs/openapi.json as the page "API reference" of the documentation site. MkDocs loads this file as a hook."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

DOCUMENT_PATH = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
PAGE = "api-reference.md"
PLACE = "<!-- openapi -->"
"""What the page has where the routes go."""

METHODS = ("get", "head", "options", "post", "put", "patch", "delete")

Document = Mapping[str, Any]


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return the page's text, with the routes in their place. MkDocs calls this for every page."""
    if page.file.src_uri != PAGE:
        return markdown
    document: Document = json.loads(DOCUMENT_PATH.read_text(encoding="utf-8"))
    return markdown.replace(PLACE, render(document))


def render(document: Document) -> str:
    """Return Markdown: the routes by tag, then the schemas."""
    sections = [
        f"## {tag['name'].capitalize()}\n\n{tag['description']}\n\n{_routes(document, tag['name'])}"
        for tag in document["tags"]
    ]
    schemas = "\n".join(_schema(name, schema) for name, schema in sorted(document["components"]["schemas"].items()))
    return "\n".join([*sections, "## Schemas\n", schemas])


def _routes(document: Document, tag: str) -> str:
    found = [
        _operation(method, path, item[method], item.get("parameters", []))
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item and tag in item[method]["tags"]
    ]
    return "\n".join(found)


def _operation(method: str, path: str, operation: Document, shared: list[Document]) -> str:
    lines = [f"### {method.upper()} {path}\n", f"**{operation['summary']}.** {operation.get('description', '')}\n"]
    scopes = [scope for entry in operation.get("security", []) for names in entry.values() for scope in names]
    lines.append(f"Scope: {', '.join(f'`{scope}`' for scope in scopes)}.\n" if scopes else "No token needed.\n")
    parameters = [*shared, *operation.get("parameters", [])]
    if parameters:
        lines += ["| parameter | in | type | meaning |", "|---|---|---|---|"]
        lines += [_parameter(parameter) for parameter in parameters]
        lines.append("")
    for content_type, body in operation.get("requestBody", {}).get("content", {}).items():
        lines.append(f"Body `{content_type}`: {_type(body.get('schema', {}))}\n")
    lines += ["| response | meaning | body |", "|---|---|---|"]
    lines += [_response(status, response) for status, response in operation["responses"].items()]
    return "\n".join([*lines, ""])


def _parameter(parameter: Document) -> str:
    required = ", required" if parameter.get("required") else ""
    schema, meaning = _type(parameter.get("schema", {})), _cell(parameter.get("description", ""))
    return f"| `{parameter['name']}` | {parameter['in']}{required} | {schema} | {meaning} |"


def _response(status: str, response: Document) -> str:
    if "$ref" in response:
        return f"| {status} | {response['$ref'].rpartition('/')[2]} | |"
    bodies = ", ".join(
        f"`{kind}`: {_type(body.get('schema', {}))}" for kind, body in response.get("content", {}).items()
    )
    return f"| {status} | {_cell(response['description'])} | {bodies} |"


def _schema(name: str, schema: Document) -> str:
    lines = [f"### {name}\n", f"{_cell(schema.get('description', ''))}\n"]
    if "properties" in schema:
        required = set(schema.get("required", ()))
        lines += ["| member | type | meaning |", "|---|---|---|"]
        for member, about in schema["properties"].items():
            optional = "" if member in required else " (optional)"
            lines.append(f"| `{member}`{optional} | {_type(about)} | {_cell(about.get('description', ''))} |")
    else:
        lines.append(_type(schema))
    return "\n".join([*lines, ""])


def _type(schema: Document) -> str:
    """Return a schema in a few words, with links to the schemas that it names."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for combined in ("anyOf", "oneOf", "allOf"):
        if combined in schema:
            return " or ".join(dict.fromkeys(_type(each) for each in schema[combined]))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{json.dumps(value)}`" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        items = schema.get("items") or {}
        return f"list of {_type(items)}" if items else "list"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"map to {_type(schema['additionalProperties'])}"
    return (
        " ".join([*_names_of_type(schema), *(f"({schema['format']})" if "format" in schema else "",)]).strip() or "any"
    )


def _names_of_type(schema: Document) -> Iterator[str]:
    names = schema.get("type", "any")
    yield " or ".join(names) if isinstance(names, list) else str(names)


def _cell(text: str) -> str:
    """Return text that fits into a table cell."""
    return " ".join(text.split()).replace("|", "\\|")
