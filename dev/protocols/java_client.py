"""tus-java-client from a checkout of its source, compiled by the JDK of this machine."""

from __future__ import annotations

import shutil
from pathlib import Path

from dev.errors import CheckError
from dev.paths import ROOT
from dev.protocols import clients
from dev.protocols.clients import Upload

_MAIN = ROOT / "dev" / "protocols" / "java" / "Upload.java"
_CLIENT_SOURCES = Path("src", "main")
_ANNOTATIONS = ("NotNull", "Nullable")
"""Annotations of org.jetbrains that the source names. The compiler needs them, the client does not."""


class JavaClient:
    """The compiled client, and the program that uploads by it."""

    def __init__(self, checkout: Path, folder: Path) -> None:
        """Compile the sources of a checkout of tus/tus-java-client into a folder. Raises `CheckError`."""
        if shutil.which("javac") is None:
            raise CheckError("javac is missing. On Debian run: apt-get install default-jdk-headless")
        sources = checkout / _CLIENT_SOURCES
        if not sources.exists():
            raise CheckError(f"{sources} does not exist; give a checkout of tus/tus-java-client")
        self._classes = folder / "classes"
        stubs = _write_annotations(folder / "annotations")
        java_files = [str(path) for path in sorted((sources / "java").rglob("*.java"))]
        clients.run_process(["javac", "-nowarn", "-d", str(self._classes), *stubs, *java_files, str(_MAIN)], ROOT)
        # The client reads its version from a resource.
        shutil.copytree(sources / "resources", self._classes, dirs_exist_ok=True)

    def upload(self, upload: Upload) -> None:
        """Upload by tus-java-client. Raises `CheckError` with its output if it fails."""
        arguments = [upload.endpoint, str(upload.path), upload.name, str(upload.chunk_bytes), str(clients.RETRIES)]
        clients.run_process(["java", "-cp", str(self._classes), "Upload", *arguments], ROOT, upload.token)


def _write_annotations(folder: Path) -> list[str]:
    """Write the annotations, without content, and return their files."""
    package = folder / "org" / "jetbrains" / "annotations"
    package.mkdir(parents=True)
    for name in _ANNOTATIONS:
        (package / f"{name}.java").write_text(
            f"package org.jetbrains.annotations;\n\npublic @interface {name} {{}}\n", encoding="utf-8"
        )
    return [str(path) for path in sorted(package.iterdir())]
