"""`./ferry-admin --local`: clients and keys of a running service, changed from another process."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from local.api import Api, Refused
from local.launch import ROOT, Launched
from tests.e2e.clients import eventually, upload
from tests.support.leaks import output_of


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    """One whose functions believe what they have read for a second only, and log names of files."""
    parameters = "AccessCache=1 LogFileNames=true"
    launched = Launched(tmp_path_factory.mktemp("admin") / "state", parameters=parameters)
    yield launched
    assert launched.stop() == 0, launched.log()


@pytest.fixture
def anonymous(service: Launched) -> Api:
    return Api(service.described["base_url"])


def admin(service: Launched, *arguments: str) -> Any:
    """What the command answers, run as an operator runs it, elsewhere than in the project's folder."""
    done = subprocess.run(
        [ROOT / "ferry-admin", *arguments, "--local", service.state, "--json"],
        cwd=Path("/"),
        env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def opens(api: Api) -> bool:
    return api.request("GET", "/files").status == 200


def test_a_client_is_added_disabled_and_enabled(service: Launched, anonymous: Api) -> None:
    """Its token works, stops working while its neighbours go on, never comes back, and a new one works again."""
    added = admin(service, "client", "add", "camera-7", "--namespace", "acme")
    camera = anonymous.log_in("camera-7", added["client_secret"])
    neighbour = anonymous.log_in("demo", service.described["clients"][0]["client_secret"])
    assert opens(camera)
    assert admin(service, "client", "disable", "camera-7")["state"] == "disabled"
    with pytest.raises(Refused):
        anonymous.log_in("camera-7", added["client_secret"])
    eventually(lambda: not opens(camera))
    assert opens(neighbour)
    admin(service, "client", "enable", "camera-7")
    again = anonymous.log_in("camera-7", added["client_secret"])
    eventually(lambda: opens(again))
    assert not opens(camera)


def test_two_secrets_work_during_a_rotation(service: Launched, anonymous: Api) -> None:
    """And then the new one alone."""
    old = admin(service, "client", "add", "camera-8", "--namespace", "acme")["client_secret"]
    new = admin(service, "client", "rotate", "camera-8")["client_secret"]
    for secret in (old, new):
        assert opens(anonymous.log_in("camera-8", secret))
    admin(service, "client", "rotate", "camera-8", "--finish")
    assert opens(anonymous.log_in("camera-8", new))
    with pytest.raises(Refused):
        anonymous.log_in("camera-8", old)


def test_a_new_key_signs(service: Launched, anonymous: Api) -> None:
    """Published, then signing; what the old one has signed is believed until it is retired."""
    secret = service.described["clients"][0]["client_secret"]
    before = anonymous.log_in("demo", secret)
    added = admin(service, "key", "add")

    def published() -> set[str]:
        return {key["kid"] for key in anonymous.request("GET", "/.well-known/jwks.json").json["keys"]}

    eventually(lambda: added["kid"] in published())
    (old,) = published() - {added["kid"]}
    admin(service, "key", "activate", "--at-once", added["kid"].lstrip("-"))

    def signs() -> bool:
        token = anonymous.log_in("demo", secret).token
        assert token is not None
        return bool(jwt.get_unverified_header(token)["kid"] == added["kid"])

    eventually(signs)
    assert opens(anonymous.log_in("demo", secret))
    assert opens(before)
    admin(service, "key", "retire", "--at-once", old.lstrip("-"))
    eventually(lambda: not opens(before))
    assert opens(anonymous.log_in("demo", secret))


def test_what_was_done_is_on_record(service: Launched) -> None:
    """By the person at this machine."""
    admin(service, "client", "add", "camera-9", "--namespace", "acme")
    (latest,) = admin(service, "audit", "--limit", "1")
    assert (latest["event"], latest["subject"]) == ("client.add", "camera-9")
    assert latest["actor"].startswith("local:")


def test_what_clients_do_is_in_the_logs(service: Launched, anonymous: Api) -> None:
    """Tokens, issued and refused, and a deletion with the file's name, as it was asked for."""
    demo = anonymous.log_in("demo", service.described["clients"][0]["client_secret"])
    upload(demo, "a name in the log.bin", b"x")
    assert demo.request("DELETE", "/files/a%20name%20in%20the%20log.bin").status == 204
    with pytest.raises(Refused):
        anonymous.log_in("demo", "not the secret")

    def events() -> list[dict[str, Any]]:
        lines = [line for _, text in output_of(service.state) for line in text.splitlines() if '"audit":true' in line]
        return [json.loads(line) for line in lines]

    eventually(lambda: {"token.issue", "file.delete"} <= {event["event"] for event in events()})
    eventually(lambda: "invalid_client" in {event["outcome"] for event in events()})
    (deleted,) = (event for event in events() if event["event"] == "file.delete")
    assert (deleted["actor"], deleted["ns"], deleted["file_name"]) == ("demo", "demo", "a name in the log.bin")
