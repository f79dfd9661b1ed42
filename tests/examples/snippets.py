"""Keep the code blocks of the documents equal to the scripts in examples/.

A block that comes after the line `<!-- example: examples/curl/token.sh -->` is that file, without its `#!` line. With
`<!-- example: examples/browser/ferry.js upload -->` it is what stands between `// [upload]` and `// [/upload]`.

`python -m tests.examples.snippets` writes the blocks; a test fails while they differ.
"""

from __future__ import annotations

import re
from pathlib import Path

from dev.paths import ROOT

BLOCK = re.compile(
    r"(?P<head><!-- example: (?P<path>\S+)(?: (?P<section>[\w-]+))? -->\n(?:<!-- run: .+? -->\n)?```\w+\n)"
    r".*?^(?P<tail>```)$",
    re.MULTILINE | re.DOTALL,
)


def pages() -> list[Path]:
    """Return every document that may have blocks."""
    return sorted((ROOT / "docs").rglob("*.md"))


def example_text(path: str, section: str | None) -> str:
    """Return a script, or one section of it. Raises `ValueError` for a section that is not there."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if section is None:
        return re.sub(r"\A#!.*\n", "", text)
    found = re.search(rf"^// \[{section}\]\n(.*?)^// \[/{section}\]$", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise ValueError(f"{path} has no section [{section}]")
    return found[1]


def render(page: str) -> str:
    """Return the page with every block as the script has it today."""
    return BLOCK.sub(lambda block: block["head"] + example_text(block["path"], block["section"]) + block["tail"], page)


def main() -> None:
    for path in pages():
        text = path.read_text(encoding="utf-8")
        path.write_text(render(text), encoding="utf-8")


if __name__ == "__main__":
    main()
