"""Download DynamoDB Local, which AWS publishes, and start it on the loopback interface."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from tests.backends.errors import BackendMissingError

PACKAGE = "amplify-dynamodb-simulator"
VERSION = "2.9.30"
SHA256 = "3503ffac19f183407909fecdacf4db51ab1fdad1da7b2f177016670b2d80e4b9"
CACHE_FOLDER = Path(__file__).parents[2] / "build" / "dynamodb-local"
"""DynamoDB Local's license allows its use in tests, not its distribution, so it is downloaded and never committed."""

EMULATOR_FOLDER = Path("package") / "emulator"
JETTY = Path(__file__).with_name("dynamodb_local.xml")


def command(port: int) -> list[str]:
    """Return the command line, after downloading the program if necessary. Raises `BackendMissingError`."""
    java = shutil.which("java")
    if java is None:
        raise BackendMissingError(
            "DynamoDB Local needs Java. On Debian and Ubuntu run: apt-get install default-jre-headless"
        )
    home = fetch()
    libraries = home / "DynamoDBLocal_lib"
    return [
        java,
        *("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
        "-Dorg.eclipse.jetty.util.log.announce=false",
        "-Dorg.eclipse.jetty.LEVEL=WARN",
        f"-Djava.library.path={libraries}",
        "-cp",
        f"{home / 'DynamoDBLocal.jar'}:{libraries}/*",
        "org.eclipse.jetty.xml.XmlConfiguration",
        f"port={port}",
        str(JETTY),
    ]


def environment() -> dict[str, str]:
    """Return the environment, which disables telemetry."""
    return {"PATH": "/usr/bin:/bin", "DDB_LOCAL_TELEMETRY": "0"}


def fetch() -> Path:
    """Return the program's folder, from the cache or from the npm package in which AWS publishes it.

    Raises:
        BackendMissingError: npm is not installed, the download failed, or the SHA-256 is not the pinned one.
    """
    home = CACHE_FOLDER / VERSION
    if (home / EMULATOR_FOLDER).is_dir():
        return home / EMULATOR_FOLDER
    CACHE_FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE_FOLDER) as scratch:
        package = _download_package(Path(scratch))
        digest = hashlib.sha256(package.read_bytes()).hexdigest()
        if digest != SHA256:
            raise BackendMissingError(f"{PACKAGE}@{VERSION} has the SHA-256 {digest} instead of {SHA256}")
        unpacked = Path(scratch) / "unpacked"
        with tarfile.open(package) as archive:
            members = [entry for entry in archive if Path(entry.name).is_relative_to(EMULATOR_FOLDER)]
            archive.extractall(unpacked, members, filter="data")
        try:
            unpacked.rename(home)
        except OSError:
            # Another process has installed the same package.
            if not (home / EMULATOR_FOLDER).is_dir():
                raise
    return home / EMULATOR_FOLDER


def _download_package(folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise BackendMissingError(
            "DynamoDB Local comes in an npm package. On Debian and Ubuntu run: apt-get install npm"
        )
    completed = subprocess.run(
        [npm, "pack", f"{PACKAGE}@{VERSION}", "--ignore-scripts", "--silent", "--pack-destination", str(folder)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    package = folder / f"{PACKAGE}-{VERSION}.tgz"
    if completed.returncode or not package.is_file():
        raise BackendMissingError(
            f"npm could not download {PACKAGE}@{VERSION}: {completed.stderr.strip() or completed.stdout.strip()}"
        )
    return package
