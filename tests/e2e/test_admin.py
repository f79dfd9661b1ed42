"""Every command of `./ferry-admin --local`, run as a program against a running service."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jwt
import pytest

from admin.cli import main
from dev.local.client import FerryClient, UnexpectedResponseError
from dev.local.launcher import LocalService
from dev.paths import ROOT
from ferry import __version__
from tests.e2e.clients import upload_file, wait_until
from tests.support.secret_recorder import read_output

TIMEOUT_SECONDS = 60


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """A service whose functions cache keys and revocations for one second, and log filenames."""
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


@pytest.fixture
def demo_secret(service: LocalService) -> str:
    """The secret of the client `demo`."""
    secret: str = service.connection_info["clients"][0]["client_secret"]
    return secret


class Admin:
    """Runs commands on the service: `main` in this process, which saves a second for each, or the program."""

    def __init__(self, service: LocalService, capsys: pytest.CaptureFixture[str]) -> None:
        self.state_folder = service.state_folder
        self._capsys = capsys

    def run(self, *arguments: str, code: int = 0) -> Output:
        """Return the output of a command. It must end with that exit code."""
        self._capsys.readouterr()
        assert main([*arguments, "--local", str(self.state_folder)]) == code
        return Output(*self._capsys.readouterr())

    def json(self, *arguments: str) -> Any:
        """Return the JSON of a command that succeeds."""
        return json.loads(self.run(*arguments, "--output", "json").out)

    def program(self, *arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
        """Run `./ferry-admin` as an operator does, from another folder. By default without a terminal."""
        return subprocess.run(
            [ROOT / "ferry-admin", *arguments, "--local", self.state_folder],
            cwd=Path("/"),
            env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
            stdin=stdin,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )


class Output(NamedTuple):
    """What a command printed."""

    out: str
    err: str


@pytest.fixture
def admin(service: LocalService, capsys: pytest.CaptureFixture[str]) -> Admin:
    return Admin(service, capsys)


def is_authorized(api: FerryClient) -> bool:
    return api.request("GET", "/files").status == 200


def test_client_add_disable_enable_controls_tokens(admin: Admin, anonymous: FerryClient, demo_secret: str) -> None:
    """A disabled client's tokens stop working, other clients' do not, and after enabling only new ones work."""
    added = admin.json("client", "add", "camera-7", "--namespace", "acme")
    camera = anonymous.authenticate("camera-7", added["client_secret"])
    demo = anonymous.authenticate("demo", demo_secret)
    assert is_authorized(camera)
    assert admin.json("client", "disable", "camera-7", "--yes")["state"] == "disabled"
    with pytest.raises(UnexpectedResponseError):
        anonymous.authenticate("camera-7", added["client_secret"])
    wait_until(lambda: not is_authorized(camera))
    assert is_authorized(demo)
    admin.json("client", "enable", "camera-7")
    enabled = anonymous.authenticate("camera-7", added["client_secret"])
    wait_until(lambda: is_authorized(enabled))
    assert not is_authorized(camera)


def test_client_rotation_accepts_both_secrets(admin: Admin, anonymous: FerryClient) -> None:
    """Both secrets work until --finish drops the old one; --undo drops the new one."""
    old = admin.json("client", "add", "camera-8", "--namespace", "acme")["client_secret"]
    new = admin.json("client", "rotate", "camera-8")["client_secret"]
    for secret in (old, new):
        assert is_authorized(anonymous.authenticate("camera-8", secret))
    admin.run("client", "rotate", "camera-8", "--finish", "--yes")
    assert is_authorized(anonymous.authenticate("camera-8", new))
    with pytest.raises(UnexpectedResponseError):
        anonymous.authenticate("camera-8", old)
    newest = admin.json("client", "rotate", "camera-8")["client_secret"]
    admin.run("client", "rotate", "camera-8", "--undo", "--yes")
    with pytest.raises(UnexpectedResponseError):
        anonymous.authenticate("camera-8", newest)
    assert is_authorized(anonymous.authenticate("camera-8", new))


def test_client_list_and_show_hide_secret(admin: Admin) -> None:
    """Tables are aligned, JSON has the same clients, and neither shows a secret or a hash."""
    secret = admin.json("client", "add", "camera-10", "--namespace", "acme")["client_secret"]
    table = admin.run("client", "list").out
    header, *rows = table.splitlines()
    row = next(row for row in rows if row.startswith("camera-10"))
    assert row.index("acme") == header.index("NAMESPACE")
    listed = admin.json("client", "list")
    assert {client["client_id"] for client in listed} == {row.split()[0] for row in rows}
    shown = admin.json("client", "show", "camera-10")
    assert shown in listed
    assert secret not in table + json.dumps(listed)
    assert "camera-10" in admin.run("client", "show", "camera-10").out


def test_secret_fits_a_shell_variable(service: LocalService, anonymous: FerryClient) -> None:
    """`SECRET=$(… --output json | …)` holds the secret alone: notices are on stderr."""
    script = (
        'SECRET=$("$@" client add shell --namespace acme --local "$STATE" --output json'
        ' | sed -n \'s/.*"client_secret": "\\(.*\\)".*/\\1/p\') && printf %s "$SECRET"'
    )
    done = subprocess.run(
        ["sh", "-c", script, "sh", ROOT / "ferry-admin"],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "STATE": str(service.state_folder)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=True,
    )
    assert "shown only now" in done.stderr
    assert is_authorized(anonymous.authenticate("shell", done.stdout))


def test_destructive_command_without_terminal_needs_yes(admin: Admin, anonymous: FerryClient) -> None:
    """Without --yes a script gets exit code 2 and nothing changes; --dry-run shows the effect."""
    secret = admin.json("client", "add", "camera-11", "--namespace", "acme")["client_secret"]
    for arguments in (["client", "disable", "camera-11"], ["client", "rotate", "camera-11", "--immediate"]):
        rejected = admin.program(*arguments)
        assert rejected.returncode == 2
        assert "--yes" in rejected.stderr
        assert rejected.stdout == ""
        assert admin.json(*arguments, "--dry-run")["dry_run"] is True
    assert is_authorized(anonymous.authenticate("camera-11", secret))


@pytest.mark.parametrize(("answer", "code", "state"), [("n\n", 1, "active"), ("y\n", 0, "disabled")])
def test_destructive_command_asks_on_a_terminal(admin: Admin, answer: str, code: int, state: str) -> None:
    """On a terminal the command asks, and does what the answer says."""
    name = f"asked-{code}"
    admin.run("client", "add", name, "--namespace", "acme")
    person, terminal = pty.openpty()
    try:
        os.write(person, answer.encode())
        done = admin.program("client", "disable", name, stdin=terminal)
    finally:
        os.close(person)
        os.close(terminal)
    assert done.returncode == code, done.stderr
    assert "[y/N]" in done.stderr
    assert admin.json("client", "show", name)["state"] == state


def test_key_rotation_signs_with_new_key(admin: Admin, anonymous: FerryClient, demo_secret: str) -> None:
    """A new key is published, then signs; tokens of the old key work until it is retired."""
    before = anonymous.authenticate("demo", demo_secret)
    added = admin.json("key", "add")

    def published() -> set[str]:
        return {key["kid"] for key in anonymous.request("GET", "/.well-known/jwks.json").json["keys"]}

    wait_until(lambda: added["kid"] in published())
    (old,) = published() - {added["kid"]}
    short = added["kid"].lstrip("-")
    assert "too early" in admin.run("key", "activate", short, code=1).err
    admin.run("key", "activate", "--immediate", "--yes", short)

    def signs() -> bool:
        token = anonymous.authenticate("demo", demo_secret).token
        assert token is not None
        return bool(jwt.get_unverified_header(token)["kid"] == added["kid"])

    wait_until(signs)
    assert is_authorized(anonymous.authenticate("demo", demo_secret))
    assert is_authorized(before)
    states = {key["kid"]: key["state"] for key in admin.json("key", "list")}
    assert states == {old: "superseded", added["kid"]: "signing"}
    assert admin.json("key", "retire", "--immediate", "--dry-run", old.lstrip("-"))["dry_run"] is True
    admin.run("key", "retire", "--immediate", "--yes", old.lstrip("-"))
    wait_until(lambda: not is_authorized(before))
    assert is_authorized(anonymous.authenticate("demo", demo_secret))


def test_quota_set_show_recount_limits_uploads(admin: Admin, anonymous: FerryClient) -> None:
    """A quota rejects an upload that exceeds it, counts existing files, and can be lifted."""
    secret = admin.json("client", "add", "limited", "--namespace", "limited")["client_secret"]
    api = anonymous.authenticate("limited", secret)
    upload_file(api, "before.bin", b"12345")
    assert "no quota" in admin.run("quota", "show", "limited", code=1).err
    admin.run("quota", "set", "limited", "--bytes", "1KiB")
    assert admin.json("quota", "recount", "limited")["files"] == 1
    assert admin.json("quota", "show", "limited")["bytes"] == {"limit": 1024, "used": 5}
    start_body = json.dumps({"filename": "big.bin", "size": 2000}).encode()
    rejected = api.request("POST", "/upload/start", start_body, {"Content-Type": "application/json"})
    assert (rejected.status, rejected.json["code"]) == (403, "quota_exceeded")
    assert "unlimited" in admin.run("quota", "set", "limited").out
    upload_file(api, "big.bin", bytes(2000))


def test_links_are_listed_and_revoked(admin: Admin, anonymous: FerryClient, demo_secret: str) -> None:
    """By id, client and namespace; a dry run revokes nothing, and the secret of a link is shown nowhere."""
    demo = anonymous.authenticate("demo", demo_secret)
    made = [demo.post("/links", kind="upload", label=f"link {number}").json for number in range(3)]
    addresses = [f"/l/{link['url'].rpartition('/')[2]}" for link in made]
    listed = admin.run("links", "list", "--namespace", "demo", "--output", "json")
    shown = json.loads(listed.out)
    assert [each["label"] for each in shown[:3]] == ["link 2", "link 1", "link 0"]
    assert (shown[0]["state"], shown[0]["created_by"], shown[0]["used"]["files"]) == ("active", "demo", 0)
    assert not any(address.rpartition("/")[2] in listed.out for address in addresses)
    assert "0 of 1000 files" in admin.run("links", "list", "--client", "demo").out
    admin.run("links", "revoke", "--client", "demo", "--dry-run")
    assert anonymous.request("GET", addresses[0]).status == 200
    assert "say which" in admin.run("links", "revoke", "--yes", code=2).err
    assert "no link" in admin.run("links", "revoke", "f" * 32, "--yes", code=1).err
    assert admin.run("links", "revoke", made[0]["link_id"], "--yes").out == "revoked 1 link\n"
    wait_until(lambda: anonymous.request("GET", addresses[0]).status == 410)
    assert anonymous.request("GET", addresses[1]).status == 200
    revoked = admin.run("links", "revoke", "--namespace", "demo", "--yes", "--output", "json").out
    assert set(json.loads(revoked)["revoked"]) >= {link["link_id"] for link in made[1:]}
    wait_until(lambda: anonymous.request("GET", addresses[1]).json.get("code") == "link_revoked")
    assert "link.revoke" in admin.run("audit", "--limit", "1").out


def test_audit_lists_changes_of_local_user(admin: Admin) -> None:
    """Changes are recorded with the user of this machine, latest first."""
    admin.run("client", "add", "camera-9", "--namespace", "acme")
    (latest,) = admin.json("audit", "--limit", "1")
    assert (latest["event"], latest["subject"]) == ("client.add", "camera-9")
    assert latest["actor"].startswith("local:")
    assert "camera-9" in admin.run("audit", "--limit", "1").out


def test_status_shows_running_service(admin: Admin, anonymous: FerryClient, demo_secret: str) -> None:
    """Status finds the service healthy, of this version, with its clients, a signing key of known age and events."""
    anonymous.authenticate("demo", demo_secret)
    admin.run("client", "add", "camera-12", "--namespace", "acme")
    admin.run("client", "rotate", "camera-12")
    status = admin.json("status")
    assert (status["health"], status["version"]["service"]) == ("ok", __version__)
    assert status["clients"]["active"] >= 3
    (signing,) = (key for key in status["signing_keys"] if key["state"] == "signing")
    assert signing["age_days"] == 0
    assert status["events"]["enabled"] is True
    command = f"ferry-admin client rotate camera-12 --finish --local {admin.state_folder}"
    assert any(command in step for step in status["next_steps"])
    table = admin.run("status").out
    assert signing["kid"] in table
    assert command in table


def test_completion_script_is_valid_bash() -> None:
    """The printed script can be sourced, and completes commands."""
    script = f"source <({ROOT}/ferry-admin completion bash); complete -p ferry-admin"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=True)
    assert "_ferry_admin" in done.stdout


def test_stopped_service_is_unavailable(service: LocalService, tmp_path: Path) -> None:
    """The state folder of a service that does not run gives exit code 3, and the error says how to start it."""
    info = json.loads((service.state_folder / "ferry.json").read_text(encoding="utf-8"))
    backends = (service.state_folder / "backends.json").read_text(encoding="utf-8")
    (tmp_path / "ferry.json").write_text(json.dumps({**info, "dynamodb_endpoint": "http://127.0.0.1:9"}))
    (tmp_path / "backends.json").write_text(backends)
    done = subprocess.run(
        [ROOT / "ferry-admin", "client", "list", "--local", tmp_path],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 3
    assert "make run" in done.stderr
    assert "Traceback" not in done.stderr


def test_client_actions_are_logged(service: LocalService, anonymous: FerryClient, demo_secret: str) -> None:
    """The functions log tokens, issued and rejected, and a deletion with the filename, since LogFileNames is true."""
    demo = anonymous.authenticate("demo", demo_secret)
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
