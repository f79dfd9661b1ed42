"""DynamoDB Local, AWS's own: where it comes from, and how it is started on the loopback interface."""

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
"""Its licence allows using it for tests, not passing it on: it is fetched, and never committed."""

EMULATOR_FOLDER = Path("package") / "emulator"
JETTY = Path(__file__).with_name("dynamodb_local.xml")


def command(port: int) -> list[str]:
    """The program, with what it needs fetched first. Raises `BackendMissing`."""
    java = shutil.which("java")
    if java is None:
        raise BackendMissingError(
            "DynamoDB Local needs Java. On Debian and Ubuntu: apt-get install default-jre-headless"
        )
    home = fetch()
    libraries = home / "DynamoDBLocal_lib"
    return [
        java,
        "-Xmx512m",
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
    """It calls home unless told not to."""
    return {"PATH": "/usr/bin:/bin", "DDB_LOCAL_TELEMETRY": "0"}


def fetch() -> Path:
    """The folder with the program: from the cache, or out of the npm package that AWS publishes it in.

    Raises:
        BackendMissing: there is no npm, it could not fetch the package, or the package is not the one pinned.
    """
    home = CACHE_FOLDER / VERSION
    if (home / EMULATOR_FOLDER).is_dir():
        return home / EMULATOR_FOLDER
    CACHE_FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE_FOLDER) as scratch:
        package = _download_package(Path(scratch))
        found = hashlib.sha256(package.read_bytes()).hexdigest()
        if found != SHA256:
            raise BackendMissingError(f"{PACKAGE}@{VERSION} has the SHA-256 {found}, not {SHA256}: it is not used")
        unpacked = Path(scratch) / "unpacked"
        with tarfile.open(package) as archive:
            members = [entry for entry in archive if Path(entry.name).is_relative_to(EMULATOR_FOLDER)]
            archive.extractall(unpacked, members, filter="data")
        try:
            unpacked.rename(home)
        except OSError:
            # Another process was faster; what it has is the same.
            if not (home / EMULATOR_FOLDER).is_dir():
                raise
    return home / EMULATOR_FOLDER


def _download_package(folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise BackendMissingError("DynamoDB Local comes in an npm package. On Debian and Ubuntu: apt-get install npm")
    run = subprocess.run(
        [npm, "pack", f"{PACKAGE}@{VERSION}", "--ignore-scripts", "--silent", "--pack-destination", str(folder)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    package = folder / f"{PACKAGE}-{VERSION}.tgz"
    if run.returncode or not package.is_file():
        raise BackendMissingError(
            f"npm could not fetch {PACKAGE}@{VERSION}: {run.stderr.strip() or run.stdout.strip()}"
        )
    return package
