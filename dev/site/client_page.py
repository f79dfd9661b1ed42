"""Render the command's help and the SDK's docstrings as pages of the documentation site. MkDocs loads it as a hook."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SOURCE_FOLDER = Path(__file__).resolve().parents[2] / "client" / "src"
COMMAND_PAGE, SDK_PAGE = "client-reference.md", "client-sdk.md"
COMMAND_PLACE, SDK_PLACE = "<!-- ferry commands -->", "<!-- ferry_client -->"
"""What the pages have where the generated text goes."""

SDK_CLASSES = (
    ("ferry_client.client", "Ferry"),
    ("ferry_client.options", "ClientOptions"),
    ("ferry_client.models", "FileRecord"),
    ("ferry_client.models", "UploadResult"),
    ("ferry_client.models", "DownloadResult"),
    ("ferry_client.models", "TransferProgress"),
    ("ferry_client.models", "ListPage"),
    ("ferry_client.models", "UploadStatus"),
    ("ferry_client.cancellation", "CancelToken"),
    ("ferry_client.links", "Links"),
    ("ferry_client.links", "ShareLink"),
    ("ferry_client.links", "LinkUse"),
    ("ferry_client.links", "LinkActivity"),
)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return the page's text, with the generated part in its place. MkDocs calls this for every page."""
    if page.file.src_uri == COMMAND_PAGE:
        return markdown.replace(COMMAND_PLACE, render_commands())
    if page.file.src_uri == SDK_PAGE:
        return markdown.replace(SDK_PLACE, render_sdk())
    return markdown


def render_commands() -> str:
    """Return Markdown: each subcommand with its synopsis, explanation, examples and options."""
    _find_client()
    group = importlib.import_module("ferry_client.cli.group")
    return "\n".join(
        _command(name, importlib.import_module(f"ferry_client.cli.{name}").command) for name in sorted(group.COMMANDS)
    )


def _command(name: str, command: Any, heading: str = "##") -> str:
    import click

    context = click.Context(command, info_name=f"ferry {name}")
    lines = [f"{heading} ferry {name}\n", f"`ferry {name} {' '.join(command.collect_usage_pieces(context))}`\n"]
    lines += _help(inspect.cleandoc(command.help or ""))
    records = [record for parameter in command.params if (record := parameter.get_help_record(context))]
    if records:
        lines += ["| option | meaning |", "|---|---|"]
        lines += [f"| `{_cell(option)}` | {_cell(text)} |" for option, text in records]
        lines.append("")
    if isinstance(command, click.Group):
        lines += [_command(f"{name} {sub}", child, f"{heading}#") for sub, child in command.commands.items()]
    return "\n".join(lines)


def _help(text: str) -> Iterator[str]:
    """Yield the paragraphs of a help text. A block of examples begins with a backspace."""
    for paragraph in text.split("\n\n"):
        if paragraph.startswith("\b\n"):
            yield f"```sh\n{paragraph.removeprefix(chr(8) + chr(10))}\n```\n"
        else:
            yield " ".join(paragraph.split()) + "\n"


def render_sdk() -> str:
    """Return Markdown: each class with its fields and methods, then the exceptions."""
    _find_client()
    sections = [_class(getattr(importlib.import_module(module), name)) for module, name in SDK_CLASSES]
    errors = inspect.getdoc(importlib.import_module("ferry_client.errors")) or ""
    tree = errors.partition("\n\n")[2]
    return "\n".join([*sections, f"## Exceptions\n\nAll are in `ferry_client.errors`.\n\n```text\n{tree}\n```\n"])


def _class(kind: type) -> str:
    lines = [f"## {kind.__name__}\n", _docstring(kind)]
    fields = list(_fields(kind))
    if fields:
        lines += ["| field | meaning |", "|---|---|", *(f"| `{name}` | {_cell(text)} |" for name, text in fields), ""]
    for name, method in vars(kind).items():
        if inspect.isfunction(method) and (name == "__init__" or not name.startswith("_")):
            shown = kind.__name__ if name == "__init__" else f"{kind.__name__}.{name}"
            if method.__doc__ is None:
                continue  # made by `dataclass`
            signature = str(inspect.signature(method)).replace("self, ", "").replace("(self)", "()")
            signature = re.sub(r"(: |-> )'([^']*)'", r"\1\2", signature)
            lines.append(f"### {shown}\n\n```python\n{shown}{signature}\n```\n\n{_docstring(method)}")
    return "\n".join(lines)


def _docstring(documented: Any) -> str:
    """Return a docstring as Markdown: indented sections become lists or code."""
    text = inspect.getdoc(documented) or ""
    head, *sections = re.split(r"\n\n(?=(?:Args|Raises|Example):\n)", text)
    parts = [" ".join(head.split()) + "\n"]
    for section in sections:
        title, _, body = section.partition("\n")
        body = textwrap.dedent(body)
        if title == "Example:":
            parts.append(f"```python\n{body}\n```\n")
        else:
            items = re.split(r"\n(?=\S)", body)
            listed = [f"- `{name}`: {' '.join(text.split())}" for name, _, text in (i.partition(":") for i in items)]
            parts.append("\n".join([f"{'Arguments' if title == 'Args:' else 'Raises'}:\n", *listed, ""]))
    return "\n".join(parts)


def _fields(kind: type) -> Iterator[tuple[str, str]]:
    """Yield the fields of a data class, with the docstring below each."""
    for match in re.finditer(r'^    (\w+): [^\n]+\n    """(.+?)"""', inspect.getsource(kind), re.MULTILINE | re.DOTALL):
        yield match[1], " ".join(match[2].split())


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _find_client() -> None:
    if str(SOURCE_FOLDER) not in sys.path:
        sys.path.insert(0, str(SOURCE_FOLDER))
