"""`ferry-admin` over moto, and the functions that its changes affect."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import boto3
import jwt
import pytest

from admin import clients, keys, kms
from admin.cli import main
from admin.ports import AdminContext
from admin.store import DynamoAdminStore, server_clock
from dev.fakes.clock import SettableClock
from dev.paths import ROOT
from ferry import __version__
from ferry.aws.clock import wall_clock
from ferry.aws.kms import KmsSigner
from ferry.errors import BackendUnavailable
from tests.integration.admin_commands import Admin, admin, stacks
from tests.integration.stack import Stack

__all__ = ["admin", "stacks"]

CLIENT_CREDENTIALS_GRANT = {"grant_type": "client_credentials"}


def token_status(stack: Stack, client_id: str, secret: str) -> int:
    return stack.post_json(
        "POST /auth/token", {**CLIENT_CREDENTIALS_GRANT, "client_id": client_id, "client_secret": secret}
    ).status


def test_client_secret_rotation_takes_effect_at_token_endpoint(stack: Stack, admin: Admin) -> None:
    """The token endpoint follows each step: add, rotate, finish, disable, enable, rotate at once."""
    added = admin("client", "add", "camera-7", "--namespace", "acme", "--scope", "files:read")
    old = added["client_secret"]
    assert (added["namespace"], added["scope"], added["state"]) == ("acme", "files:read", "active")
    assert token_status(stack, "camera-7", old) == 200
    new = admin("client", "rotate", "camera-7")["client_secret"]
    assert admin("client", "show", "camera-7")["state"] == "rotating"
    assert [token_status(stack, "camera-7", secret) for secret in (old, new)] == [200, 200]
    admin("client", "rotate", "camera-7", "--finish", "--yes")
    assert [token_status(stack, "camera-7", secret) for secret in (old, new)] == [401, 200]
    assert admin("client", "disable", "camera-7", "--yes")["state"] == "disabled"
    assert token_status(stack, "camera-7", new) == 401
    admin("client", "enable", "camera-7")
    assert token_status(stack, "camera-7", new) == 200
    last = admin("client", "rotate", "camera-7", "--immediate", "--yes")["client_secret"]
    assert [token_status(stack, "camera-7", secret) for secret in (new, last)] == [401, 200]
    listed = {client["client_id"]: client for client in admin("client", "list")}
    assert listed["camera-7"]["secrets"] == 1


def test_signing_key_rotation_completes(stack: Stack, admin: Admin, capsys: pytest.CaptureFixture[str]) -> None:
    """A key is created with the tag that the policy requires, published, rejected too early, then activated."""
    stack.token()
    [first] = admin("key", "list")
    added = admin("key", "add")
    tags = boto3.client("kms").list_resource_tags(KeyId=added["kms_key"])["Tags"]
    assert tags == [{"TagKey": kms.STACK_TAG_KEY, "TagValue": "ferry"}]
    stack.new_process()
    published = {key["kid"] for key in stack.request("GET /.well-known/jwks.json").json["keys"]}
    assert published == {first["kid"], added["kid"]}
    assert main(["key", "activate", "--stack", "ferry", added["kid"].lstrip("-")]) == 1
    assert "too early" in capsys.readouterr().err
    admin("key", "activate", "--immediate", "--yes", added["kid"].lstrip("-"))
    states = {key["kid"]: key["state"] for key in admin("key", "list")}
    assert states == {first["kid"]: "superseded", added["kid"]: "signing"}
    assert main(["key", "retire", "--yes", "--stack", "ferry", first["kid"].lstrip("-")]) == 1
    assert "again in 7" in capsys.readouterr().err, "the stack's token lifetime, 600 s, and 120 s"


def test_added_key_signs_tokens(stack: Stack) -> None:
    """The auth function signs with a published key that the template does not know."""
    stack.token()
    client = boto3.client("kms")
    context = AdminContext(DynamoAdminStore(boto3.client("dynamodb"), "auth"), "operator", wall_clock)
    added = keys.add(context, KmsSigner(client), kms.create_key(client, "ferry"))
    keys.activate(context, added.kid, immediate=True)
    stack.new_process()
    secret = clients.add(context, "signed", "acme", ("files:read",))[1]
    token = stack.post_json(
        "POST /auth/token", {**CLIENT_CREDENTIALS_GRANT, "client_id": "signed", "client_secret": secret}
    )
    assert jwt.get_unverified_header(token.json["access_token"])["kid"] == added.kid


def test_existing_kms_key_is_adopted(stack: Stack, admin: Admin, capsys: pytest.CaptureFixture[str]) -> None:
    """An existing KMS key is tagged and published by its alias. An unknown or RSA key is rejected with a hint."""
    stack.token()
    client = boto3.client("kms")
    created = client.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    client.create_alias(AliasName="alias/second", TargetKeyId=created["KeyId"])
    assert admin("key", "add", "--kms-key", "alias/second")["kms_key"] == created["Arn"]
    assert client.list_resource_tags(KeyId=created["KeyId"])["Tags"][0]["TagKey"] == kms.STACK_TAG_KEY
    rsa = client.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    for key, message in ((rsa, "ECC_NIST_P256"), ("alias/none", "no key")):
        assert main(["key", "add", "--kms-key", key, "--stack", "ferry"]) == 1
        assert message in capsys.readouterr().err


def test_admin_commands_are_audited(admin: Admin) -> None:
    """The audit log has every change, latest first, in the shape of the functions' audit events."""
    admin("client", "add", "recorded", "--namespace", "acme")
    admin("client", "disable", "recorded", "--yes")
    latest, before = admin("audit", "--limit", "2")
    assert (latest["event"], before["event"]) == ("client.disable", "client.add")
    for entry in (latest, before):
        assert entry["audit"] is True
        assert entry["subject"] == "recorded"
        assert entry["actor"].startswith("arn:aws:sts::")
    assert before["ns"] == "acme"


@pytest.mark.parametrize(
    ("arguments", "code", "message", "hint"),
    [
        (["client", "list", "--stack", "absent"], 1, "absent does not exist", "check the name"),
        (["client", "list", "--stack", "other"], 1, "AuthTableName", "template.yaml"),
        (["client", "list", "--table", "absent"], 1, "not found", "check the name"),
        (["client", "show", "unknown", "--table", "auth"], 1, "no client 'unknown'", "client list"),
        (["client", "list", "--local", "/nonexistent"], 1, "/nonexistent", "make run"),
        (["client", "list", "--stack", "ferry", "--profile", "absent"], 1, "absent", "--profile"),
        (["key", "add", "--table", "auth"], 1, "stack's name", "--kms-key"),
        (["quota", "show", "demo", "--table", "auth"], 1, "MetadataTableName", "--stack"),
        (["client", "disable", "unknown", "--table", "auth"], 2, "confirmation", "--yes"),
    ],
)
def test_command_failure_prints_cause_and_remedy(
    stack: Stack, capsys: pytest.CaptureFixture[str], *, arguments: list[str], code: int, message: str, hint: str
) -> None:
    """An error goes to stderr alone, as text or as JSON, with its exit code and without a traceback."""
    stack.token()
    capsys.readouterr()
    assert main(arguments) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("ferry-admin: ")
    assert message in captured.err
    assert hint in captured.err
    assert "Traceback" not in captured.err
    assert main([*arguments, "--output", "json"]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    error = json.loads(captured.err)
    assert message in error["error"]
    assert hint in error["hint"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["client", "list"],
        ["client", "list", "--stack", "ferry", "--table", "auth"],
        ["client", "add", "a", "--stack", "ferry"],
        ["unknown"],
        [],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A missing or contradictory option is a usage error."""
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    assert "usage: ferry-admin" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("raised", "code", "message"),
    [
        (BackendUnavailable(), 3, "did not complete"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_outage_and_interrupt_have_their_exit_codes(
    raised: BaseException,
    code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Neither prints a traceback; both say that the change may have taken effect."""

    def fail(*_: object) -> None:
        raise raised

    monkeypatch.setattr("admin.store.DynamoAdminStore.list_clients", fail)
    assert main(["client", "list", "--stack", "ferry"]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert "took effect" in captured.err or "taken effect" in captured.err


def test_secret_is_printed_once_to_stdout(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """The result is on stdout, the notice on stderr; no later command shows the secret."""
    stack.token()
    capsys.readouterr()
    assert main(["client", "add", "plain", "--namespace", "acme", "--table", "auth"]) == 0
    captured = capsys.readouterr()
    (line,) = [line for line in captured.out.splitlines() if line.startswith("client_secret")]
    secret = line.split()[1]
    assert captured.out.count(secret) == 1
    assert "shown only now" in captured.err
    assert secret not in captured.err
    for arguments in (["client", "list"], ["client", "show", "plain"], ["audit"], ["key", "list"], ["status"]):
        assert main([*arguments, "--table", "auth"]) == 0
        assert secret not in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["client", "disable", "dry"],
        ["client", "rotate", "dry"],
        ["client", "rotate", "dry", "--immediate"],
    ],
)
def test_dry_run_changes_nothing(stack: Stack, admin: Admin, arguments: list[str]) -> None:
    """A dry run shows the result, without a secret, and leaves client and audit log as they are."""
    stack.token()
    if "dry" not in {client["client_id"] for client in admin("client", "list")}:
        admin("client", "add", "dry", "--namespace", "acme")
    before = admin("client", "show", "dry"), admin("audit")
    result = admin(*arguments, "--dry-run")
    assert result["dry_run"] is True
    assert "client_secret" not in result
    assert (admin("client", "show", "dry"), admin("audit")) == before


def test_status_summarizes_stack(stack: Stack, admin: Admin, capsys: pytest.CaptureFixture[str]) -> None:
    """Status shows clients by state, keys with ages, quotas, events, alarms and the next steps."""
    stack.token()
    admin("client", "add", "status-1", "--namespace", "crowded")
    admin("client", "rotate", "status-1")
    admin("quota", "set", "crowded", "--bytes", "0")
    status = admin("status")
    assert (status["stack"], status["stack_status"], status["health"]) == ("ferry", "UPDATE_COMPLETE", "unknown")
    assert status["version"] == {"service": None, "ferry_admin": __version__}
    assert status["clients"]["rotating"] >= 1
    assert "status-1" in status["rotating_clients"]
    signing = next(key for key in status["signing_keys"] if key["state"] == "signing")
    assert signing["age_days"] == 0
    assert [quota["namespace"] for quota in status["quotas"]] == ["crowded"]
    assert status["events"] == {"enabled": True, "bus": "bus"}
    assert status["alarms"] == {
        "ferry-server-errors": "ALARM",
        "ferry-function-errors": "OK",
        "ferry-stale-uploads": "INSUFFICIENT_DATA",
    }
    steps = "\n".join(status["next_steps"])
    assert "ferry-admin client rotate status-1 --finish --stack ferry" in steps
    assert "ferry-admin quota show crowded --stack ferry" in steps
    assert "ferry-server-errors is in ALARM" in steps
    assert "ferry-stale-uploads has no data: the cleanup has not run for 75 minutes, unless the stack is new" in steps
    assert main(["status", "--stack", "ferry"]) == 0
    table = capsys.readouterr().out
    for text in ("1 of 3 in ALARM, 1 without data", "published to bus", "crowded", "next steps:"):
        assert text in table


def test_status_of_table_shows_what_is_known(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """With the auth table alone, what belongs to the stack is null."""
    stack.token()
    capsys.readouterr()
    assert main(["status", "--table", "auth", "--output", "json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert status["signing_keys"]
    for name in ("stack", "api_url", "quotas", "alarms", "alarms_error"):
        assert status[name] is None, name
    assert status["events"] == {"enabled": None, "bus": None}


def test_clock_follows_dynamodb_time() -> None:
    """The clock follows DynamoDB's `Date` header, so a slow local clock cannot leave tokens valid."""
    client = boto3.client("dynamodb")
    slow = SettableClock(1_000_000_000_000)
    clock = server_clock(client, slow)
    assert clock() == slow()
    client.list_tables()
    assert clock() - slow() > 3600_000
    before = clock()
    slow.advance(5_000)
    assert clock() == before + 5_000


def test_wrapper_script_runs_from_any_directory(tmp_path: Path) -> None:
    """`./ferry-admin` runs from another folder, also through a symlink."""
    link = tmp_path / "ferry-admin"
    link.symlink_to(ROOT / "ferry-admin")
    done = subprocess.run([link, "--help"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "usage: ferry-admin" in done.stdout, done.stderr
