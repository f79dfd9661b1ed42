"""Run the public suites: `python -m dev.protocols TUS_SUITE IETF_SUITE`.

`TUS_SUITE` is a checkout of sagikazarmark/tus-conformance-tests, `IETF_SUITE` the file `rufh_conformity_test.py` of
tomdesair/tus-java-server. Neither is part of the project. Each suite runs twice: at `/uploads`, where a proxy adds the
token that the suites do not send, and below the address of a link, which needs none.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from dev.figures import write_figures
from dev.local.client import FerryClient
from dev.local.launcher import LocalService
from dev.local.tcp_ports import free_ports
from dev.protocols import hurl
from dev.protocols.auth_proxy import running_proxy

_NO_TRAILERS = "checksum-trailer is not supported, so not announced: API Gateway passes no trailers to a function"
_NO_UNFINISHED = (
    "concatenation-unfinished is not supported, so not announced, and tus says that it 'MUST be explicitly announced'; "
    "ext-concat-007-partials-complete demands 400 for the same request"
)

EXPECTED_FAILURES = {
    "ext-csum-tr-001-checksum-trailer.hurl": _NO_TRAILERS,
    "ext-csum-tr-002-chunked-encoding.hurl": _NO_TRAILERS,
    "ext-concat-uf-001-incomplete-partials.hurl": _NO_UNFINISHED,
    "ext-concat-uf-002-offset-updates.hurl": _NO_UNFINISHED,
}
"""Tests that Ferry does not pass, each with its reason."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if exactly the expected tests fail."""
    parser = argparse.ArgumentParser(prog="python -m dev.protocols", description=__doc__.partition("\n")[0])
    parser.add_argument("tus_suite", type=Path)
    parser.add_argument("ietf_suite", type=Path)
    parser.add_argument("--write", action="store_true", help="write docs/figures/protocols.json")
    options = parser.parse_args(arguments)
    for path in (options.tus_suite / "tests", options.ietf_suite):
        if not path.exists():
            parser.error(f"{path} does not exist; give a checkout of the suite")
    [proxy_port] = free_ports(1)
    base_url = f"http://127.0.0.1:{proxy_port}"
    with tempfile.TemporaryDirectory() as folder:
        service = LocalService(Path(folder) / "state", environment={"FERRY_PUBLIC_URL": base_url})
        try:
            target_url, demo = service.connection_info["base_url"], service.connection_info["clients"][0]
            client = FerryClient(target_url).authenticate(demo["client_id"], demo["client_secret"])
            with running_proxy(int(target_url.rpartition(":")[2]), lambda: client.token, proxy_port):
                return _run_both(base_url, create_link(client), options)
        finally:
            service.stop()


def create_link(client: FerryClient) -> str:
    """Return the path of a new upload link."""
    link = client.post("/links", kind="upload", prefix="by link/", max_files=5_000, max_bytes=10**15).json
    return "/l/" + str(link["url"]).rpartition("/")[2]


def _run_both(base_url: str, link_path: str, options: argparse.Namespace) -> int:
    """Run the suites at `/uploads` and below a link. Return 0 if exactly the expected tests fail in both."""
    figures = _run("with a token", f"{base_url}/uploads", options)
    by_link = _run("by a link", f"{base_url}{link_path}/uploads", options)
    if options.write:
        write_figures("protocols", "make prove-protocols", {**figures, "by_link": by_link})
    return int(not all(_is_expected(each) for each in (figures, by_link)))


def _is_expected(figures: Mapping[str, Any]) -> bool:
    return figures["tus_failed"] == sorted(EXPECTED_FAILURES) and figures.get("ietf_failed") == 0


def _run(title: str, base_url: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run both suites, print what fails, and return the figures."""
    print(f"{title}:")
    failed = run_tus(options.tus_suite / "tests", base_url)
    for name, reason in failed.items():
        print(f"{name}: {EXPECTED_FAILURES.get(name, reason)}")
    total = len(list((options.tus_suite / "tests").rglob("*.hurl")))
    print(f"tus: {total - len(failed)} of {total} tests passed", flush=True)
    ietf = run_ietf(options.ietf_suite, base_url)
    return {"tus_passed": total - len(failed), "tus_total": total, "tus_failed": sorted(failed), **ietf}


def run_tus(folder: Path, base_url: str) -> dict[str, str]:
    """Return the files whose test fails, each with the reason."""
    failed: dict[str, str] = {}
    for path in sorted(folder.rglob("*.hurl")):
        try:
            hurl.run_file(path, {"base_url": base_url, "tus_version": "1.0.0"})
        except (hurl.Failed, hurl.UnsupportedSyntax, OSError) as error:
            failed[path.name] = f"{type(error).__name__}: {error}"
    return failed


def run_ietf(path: Path, base_url: str) -> dict[str, int]:
    """Run the pytest suite, and return how many of its tests passed, failed and were skipped; nothing if it broke."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull]
        command += ["--rootdir", str(path.parent), str(path), f"--url={base_url}", f"--junit-xml={report}"]
        subprocess.run(command, env={**os.environ, "RUFH_URL": base_url}, check=False)
        if not report.exists():
            return {}
        # The report is written by pytest just now.
        suite = ET.parse(report).getroot().find("testsuite")
    assert suite is not None
    total, skipped = int(suite.attrib["tests"]), int(suite.attrib["skipped"])
    failed = int(suite.attrib["failures"]) + int(suite.attrib["errors"])
    return {"ietf_passed": total - failed - skipped, "ietf_failed": failed, "ietf_skipped": skipped}


if __name__ == "__main__":
    raise SystemExit(main())
