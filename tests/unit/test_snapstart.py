"""A SnapStart snapshot holds no state that must be unique to an instance, or that becomes stale."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dev.testing.function_environment import FUNCTION_ENVIRONMENT

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FUNCTIONS = sorted(
    path.name
    for path in (ROOT / "functions").iterdir()
    if (path / "app.py").is_file() and path.name != "web"  # static files: no client, nothing imported later
)
MODULES = list((ROOT / "layers/common/ferry").rglob("*.py"))
MONOTONIC_CLOCK_USERS = frozenset({"router.py"})
"""Modules that measure the duration of one call within it."""
HOOK_SCRIPT = """
import datetime, gc, http.server, json, os, socket, sys, threading

served = []

class Credentials(http.server.BaseHTTPRequestHandler):
    "Lambda's endpoint of credentials, which keeps connections."
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        served.append(self.path)
        names = ("AccessKeyId", "SecretAccessKey", "Token")
        expiration = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=10)
        body = json.dumps({**dict.fromkeys(names, f"x{len(served)}"), "Expiration": expiration.isoformat()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Credentials)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"http://127.0.0.1:{server.server_port}/"

import app
import snapshot_restore_py
from ferry import wiring
assert not [module for module in sys.modules if module.startswith("botocore")], "loaded at import"

def filled_caches():
    factories = {name: value for name, value in vars(wiring).items() if hasattr(value, "cache_info")}
    return [name for name, factory in factories.items() if factory.cache_info().currsize]

names_at_import = filled_caches()
os.environ.update(json.loads(sys.argv[1]))
for function, arguments, options in snapshot_restore_py.hooks:
    function(*arguments, **options)
names = filled_caches()
clients = sorted(set(vars(wiring.aws_session())) - {"_endpoints", "_session"})
connections = [
    each.getpeername() for each in gc.get_objects()
    if isinstance(each, socket.socket) and each.fileno() >= 0 and each is not server.socket
    and each.getsockname()[1] != server.server_port
]
loaded = set(sys.modules)
if "s3" in clients:
    presigned = wiring.services().object_store.presign_get("o/k", content_type="a/b", disposition="b", ttl_seconds=9)
    assert len(served) > 1 and f"=x{len(served)}" in presigned.url, "credentials that end soon are read again"
if "ferry.http.request_bodies" in loaded:
    from ferry.http import request_bodies
    assert request_bodies._validator.cache_info().currsize == len(list(request_bodies.readers()))
assert "pydantic" not in sys.modules
later = sorted(name for name in set(sys.modules) - loaded if name.partition(".")[0] in ("botocore", "ferry", "urllib3"))
print(json.dumps({
    "names_at_import": names_at_import, "names": names, "clients": clients, "connections": connections, "later": later
}))
"""
FAKE_RUNTIME = """
hooks = []
def register_before_snapshot(function, *arguments, **options):
    hooks.append((function, arguments, options))
    return function
"""
CLIENTS = {
    "auth": ["dynamodb", "kms"],
    "upload": ["dynamodb", "events", "lambda_", "s3", "s3_completion", "s3_public"],
    "chunk": ["dynamodb", "events", "s3", "s3_public"],
    "resumable": ["dynamodb", "events", "lambda_", "s3", "s3_completion", "s3_public"],
    "files": ["dynamodb", "events", "s3", "s3_public"],
    "download": ["dynamodb", "s3", "s3_public"],
    "links": ["dynamodb", "s3", "s3_public"],
    "status": ["dynamodb", "s3", "s3_public"],
    "cleanup": ["dynamodb", "events", "s3", "s3_completion", "s3_public"],
}


def run_hooks(tmp_path: Path, function: str, **environment: str) -> dict[str, Any]:
    """Return what a function has loaded once the hooks that it registers with a fake runtime have run."""
    (tmp_path / "snapshot_restore_py.py").write_text(FAKE_RUNTIME, encoding="utf-8")
    paths = [str(ROOT / "functions" / function), str(ROOT / "layers/common"), str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", HOOK_SCRIPT, json.dumps(FUNCTION_ENVIRONMENT)],
        env={
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
            "PYTHONPATH": ":".join(paths),
            "PATH": "/usr/bin:/bin",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded: dict[str, Any] = json.loads(done.stdout)
    return loaded


@pytest.fixture(scope="module")
def run_hooks_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Any]]:
    """Return `run_hooks` for all tests of a function: a process that loads one takes most of a second."""
    return cache(lambda function: run_hooks(tmp_path_factory.mktemp(function), function))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_snapshot_holds_no_cached_state(function: str, run_hooks_once: Callable[[str], dict[str, Any]]) -> None:
    """Importing a function fills no cache of `ferry.wiring`, so it has no connection and no cached data. It needs no
    settings either: the process has them after the import.
    """
    assert run_hooks_once(function)["names_at_import"] == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_snapshot_hook_loads_clients_without_connection(
    function: str, run_hooks_once: Callable[[str], dict[str, Any]]
) -> None:
    """Before the snapshot, the hook creates the function's clients and components, and closes every connection. The
    first request then imports no module.
    """
    loaded = run_hooks_once(function)
    assert loaded["clients"] == CLIENTS[function]
    assert set(loaded["names"]) >= ({"token_issuer"} if function == "auth" else {"services", "token_verifier"})
    assert loaded["connections"] == []
    assert loaded["later"] == []


def test_snapshot_hook_keeps_no_credentials_that_expire(tmp_path: Path) -> None:
    """With credentials that cannot be refreshed, the hook creates no client: restored instances would keep them."""
    loaded = run_hooks(tmp_path, "download", AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b", AWS_SESSION_TOKEN="c")
    assert (loaded["clients"], loaded["connections"]) == ([], [])
    assert "services" not in loaded["names"]


def test_snapshot_hook_survives_missing_credentials(tmp_path: Path) -> None:
    """If the credentials cannot be read, the version is published, without clients in its snapshot."""
    wrong = {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/nowhere", "AWS_EC2_METADATA_DISABLED": "true"}
    assert run_hooks(tmp_path, "download", **wrong)["clients"] == []


def test_snapshot_hook_is_not_registered_without_snapstart(tmp_path: Path) -> None:
    """Without SnapStart a function registers no hook."""
    loaded = run_hooks(tmp_path, "download", AWS_LAMBDA_INITIALIZATION_TYPE="on-demand")
    assert loaded["names"] == []


def test_layer_has_modules() -> None:
    """The two tests below have modules to look at."""
    assert len(MODULES) > 50


def test_random_module_is_not_used() -> None:
    """Ids come from the operating system; `random` would repeat its numbers in every restored instance."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert "random" not in names, f"{path.name} imports random: use secrets"


def test_caches_do_not_use_monotonic_clock() -> None:
    """Caches use the wall clock; the monotonic clock of a restored instance continues from the snapshot."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("monotonic", "monotonic_ns"):
                assert path.name in MONOTONIC_CLOCK_USERS, f"{path.name} reads the monotonic clock: a cache must not"
