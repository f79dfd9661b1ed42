"""`./ferry-admin --local`: clients and keys of a running service, changed from another process."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from dev.local.client import FerryClient, UnexpectedResponseError
from dev.local.launcher import LocalService
from dev.paths import ROOT
from tests.e2e.clients import upload_file, wait_until
from tests.support.secret_recorder import read_output


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """One whose functions believe what they have read for a second only, and log names of files."""
    launched = LocalService(
        tmp_path_factory.mktemp("admin") / "state",
        parameters="LogFileNames=true",
        environment={"FERRY_AUTH_CACHE_TTL_SECONDS": "1"},
    )
    yield launched
    assert launched.stop() == 0, launched.read_log()


@pytest.fixture
def anonymous(service: LocalService) -> FerryClient:
    return FerryClient(service.connection_info["base_url"])


def run_admin(service: LocalService, *arguments: str) -> Any:
    """What the command answers, run as an operator runs it, elsewhere than in the project's folder."""
    done = subprocess.run(
        [ROOT / "ferry-admin", *arguments, "--local", service.state_folder, "--json"],
        cwd=Path("/"),
        env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def is_authorized(api: FerryClient) -> bool:
    return api.request("GET", "/files").status == 200


def test_client_add_disable_enable_controls_tokens(service: LocalService, anonymous: FerryClient) -> None:
    """Its token works, stops working while its neighbours go on, never comes back, and a new one works again."""
    added = run_admin(service, "client", "add", "camera-7", "--namespace", "acme")
    camera = anonymous.authenticate("camera-7", added["client_secret"])
    neighbour = anonymous.authenticate("demo", service.connection_info["clients"][0]["client_secret"])
    assert is_authorized(camera)
    assert run_admin(service, "client", "disable", "camera-7")["state"] == "disabled"
    with pytest.raises(UnexpectedResponseError):
        anonymous.authenticate("camera-7", added["client_secret"])
    wait_until(lambda: not is_authorized(camera))
    assert is_authorized(neighbour)
    run_admin(service, "client", "enable", "camera-7")
    again = anonymous.authenticate("camera-7", added["client_secret"])
    wait_until(lambda: is_authorized(again))
    assert not is_authorized(camera)


def test_client_rotation_accepts_both_secrets(service: LocalService, anonymous: FerryClient) -> None:
    """And then the new one alone."""
    old = run_admin(service, "client", "add", "camera-8", "--namespace", "acme")["client_secret"]
    new = run_admin(service, "client", "rotate", "camera-8")["client_secret"]
    for secret in (old, new):
        assert is_authorized(anonymous.authenticate("camera-8", secret))
    run_admin(service, "client", "rotate", "camera-8", "--finish")
    assert is_authorized(anonymous.authenticate("camera-8", new))
    with pytest.raises(UnexpectedResponseError):
        anonymous.authenticate("camera-8", old)


def test_key_rotation_signs_with_new_key(service: LocalService, anonymous: FerryClient) -> None:
    """Published, then signing; what the old one has signed is believed until it is retired."""
    secret = service.connection_info["clients"][0]["client_secret"]
    before = anonymous.authenticate("demo", secret)
    added = run_admin(service, "key", "add")

    def published() -> set[str]:
        return {key["kid"] for key in anonymous.request("GET", "/.well-known/jwks.json").json["keys"]}

    wait_until(lambda: added["kid"] in published())
    (old,) = published() - {added["kid"]}
    run_admin(service, "key", "activate", "--immediate", added["kid"].lstrip("-"))

    def signs() -> bool:
        token = anonymous.authenticate("demo", secret).token
        assert token is not None
        return bool(jwt.get_unverified_header(token)["kid"] == added["kid"])

    wait_until(signs)
    assert is_authorized(anonymous.authenticate("demo", secret))
    assert is_authorized(before)
    run_admin(service, "key", "retire", "--immediate", old.lstrip("-"))
    wait_until(lambda: not is_authorized(before))
    assert is_authorized(anonymous.authenticate("demo", secret))


def test_admin_commands_are_audited(service: LocalService) -> None:
    """By the person at this machine."""
    run_admin(service, "client", "add", "camera-9", "--namespace", "acme")
    (latest,) = run_admin(service, "audit", "--limit", "1")
    assert (latest["event"], latest["subject"]) == ("client.add", "camera-9")
    assert latest["actor"].startswith("local:")


def test_client_actions_are_logged(service: LocalService, anonymous: FerryClient) -> None:
    """Tokens, issued and refused, and a deletion with the file's name, as it was asked for."""
    demo = anonymous.authenticate("demo", service.connection_info["clients"][0]["client_secret"])
    upload_file(demo, "a name in the log.bin", b"x")
    assert demo.request("DELETE", "/files/a%20name%20in%20the%20log.bin").status == 204
    with pytest.raises(UnexpectedResponseError):
        anonymous.authenticate("demo", "not the secret")

    def events() -> list[dict[str, Any]]:
        lines = [
            line
            for _, text in read_output(service.state_folder)
            for line in text.splitlines()
            if '"audit":true' in line
        ]
        return [json.loads(line) for line in lines]

    wait_until(lambda: {"token.issue", "file.delete"} <= {event["event"] for event in events()})
    wait_until(lambda: "invalid_client" in {event["outcome"] for event in events()})
    (deleted,) = (event for event in events() if event["event"] == "file.delete")
    assert (deleted["actor"], deleted["ns"], deleted["file_name"]) == ("demo", "demo", "a name in the log.bin")
