"""`ferry-admin` over moto: found by the stack's name, as CloudFormation describes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import jwt
import pytest
from botocore.exceptions import ClientError

from admin import clients, keys, kms
from admin.cli import COMMAND_MODULES, build_parser, main
from admin.ports import AdminContext
from admin.store import DynamoAdminStore, server_clock
from dev.fakes.clock import SettableClock
from ferry.aws.clock import wall_clock
from ferry.aws.kms import KmsSigner
from tests.integration.stack import Stack

STACKS: dict[str, dict[str, Any]] = {
    "ferry": {
        "StackName": "ferry",
        "Parameters": [{"ParameterKey": "TokenTtlSeconds", "ParameterValue": "600"}],
        "Outputs": [{"OutputKey": "AuthTableName", "OutputValue": "auth"}],
    },
    "other": {"StackName": "other"},
}

CLIENT_CREDENTIALS_GRANT = {"grant_type": "client_credentials"}

Admin = Callable[..., Any]


class CloudFormation:
    """What is asked of it; moto's own wants more than is installed here."""

    def describe_stacks(self, *, StackName: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
        if StackName not in STACKS:
            refusal: Any = {"Error": {"Code": "ValidationError", "Message": f"{StackName} does not exist"}}
            raise ClientError(refusal, "DescribeStacks")
        return {"Stacks": [STACKS[StackName]]}


class Session(boto3.session.Session):
    """One that describes these stacks."""

    def client(self, service_name: Any, *arguments: Any, **options: Any) -> Any:
        if service_name == "cloudformation":
            return CloudFormation()
        return super().client(service_name, *arguments, **options)


@pytest.fixture(autouse=True)
def stacks(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """CloudFormation's side of the functions that `stack` runs, and a stack that is none of Ferry's."""
    monkeypatch.setattr("admin.connect.Session", Session)


@pytest.fixture
def admin(capsys: pytest.CaptureFixture[str]) -> Admin:
    """Runs a command that must succeed, and returns its answer."""

    def run(*arguments: str) -> Any:
        capsys.readouterr()  # what the functions have said so far
        assert main([*arguments, "--stack", "ferry", "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


def token_status(stack: Stack, client_id: str, secret: str) -> int:
    return stack.post_json(
        "POST /auth/token", {**CLIENT_CREDENTIALS_GRANT, "client_id": client_id, "client_secret": secret}
    ).status


def test_client_secret_rotation_takes_effect_at_token_endpoint(stack: Stack, admin: Admin) -> None:
    """Added, given a second secret, rid of the first, disabled, enabled: the token endpoint follows each step."""
    added = admin("client", "add", "camera-7", "--namespace", "acme", "--scope", "files:read")
    old = added["client_secret"]
    assert (added["namespace"], added["scope"], added["state"]) == ("acme", "files:read", "active")
    assert token_status(stack, "camera-7", old) == 200
    new = admin("client", "rotate", "camera-7")["client_secret"]
    assert admin("client", "show", "camera-7")["state"] == "rotating"
    assert [token_status(stack, "camera-7", secret) for secret in (old, new)] == [200, 200]
    admin("client", "rotate", "camera-7", "--finish")
    assert [token_status(stack, "camera-7", secret) for secret in (old, new)] == [401, 200]
    assert admin("client", "disable", "camera-7")["state"] == "disabled"
    assert token_status(stack, "camera-7", new) == 401
    admin("client", "enable", "camera-7")
    assert token_status(stack, "camera-7", new) == 200
    last = admin("client", "rotate", "camera-7", "--immediate")["client_secret"]
    assert [token_status(stack, "camera-7", secret) for secret in (new, last)] == [401, 200]
    listed = {client["client_id"]: client for client in admin("client", "list")}
    assert listed["camera-7"]["secrets"] == 1


def test_signing_key_rotation_completes(stack: Stack, admin: Admin, capsys: pytest.CaptureFixture[str]) -> None:
    """Made with the tag that the token function's policy asks for, published, refused too early, signing, retired."""
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
    admin("key", "activate", "--immediate", added["kid"].lstrip("-"))
    states = {key["kid"]: key["state"] for key in admin("key", "list")}
    assert states == {first["kid"]: "superseded", added["kid"]: "signing"}
    assert main(["key", "retire", "--stack", "ferry", first["kid"].lstrip("-")]) == 1
    assert "again in 7" in capsys.readouterr().err, "the stack's token lifetime, 600 s, and 120 s"


def test_added_key_signs_tokens(stack: Stack) -> None:
    """The token function signs with a key that the template does not know, once an operator has published it."""
    stack.token()
    client = boto3.client("kms")
    desk = AdminContext(DynamoAdminStore(boto3.client("dynamodb"), "auth"), "operator", wall_clock)
    added = keys.add(desk, KmsSigner(client), kms.create_key(client, "ferry"))
    keys.activate(desk, added.kid, immediate=True)
    stack.new_process()
    secret = clients.add(desk, "signed", "acme", ("files:read",))[1]
    token = stack.post_json(
        "POST /auth/token", {**CLIENT_CREDENTIALS_GRANT, "client_id": "signed", "client_secret": secret}
    )
    assert jwt.get_unverified_header(token.json["access_token"])["kid"] == added.kid


def test_existing_kms_key_is_adopted(stack: Stack, admin: Admin, capsys: pytest.CaptureFixture[str]) -> None:
    """By id or alias, and tagged; one that is not there, or cannot sign ES256, is refused with what to do."""
    stack.token()
    client = boto3.client("kms")
    made = client.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    client.create_alias(AliasName="alias/second", TargetKeyId=made["KeyId"])
    assert admin("key", "add", "--kms-key", "alias/second")["kms_key"] == made["Arn"]
    assert client.list_resource_tags(KeyId=made["KeyId"])["Tags"][0]["TagKey"] == kms.STACK_TAG_KEY
    rsa = client.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    for key, said in ((rsa, "P-256"), ("alias/none", "no key")):
        assert main(["key", "add", "--kms-key", key, "--stack", "ferry"]) == 1
        assert said in capsys.readouterr().err
    assert main(["key", "add", "--table", "auth"]) == 1
    assert "--stack" in capsys.readouterr().err


def test_admin_commands_are_audited(admin: Admin) -> None:
    """Who did what to whom, the latest first, in the shape of the functions' audit events."""
    admin("client", "add", "recorded", "--namespace", "acme")
    admin("client", "disable", "recorded")
    latest, before = admin("audit", "--limit", "2")
    assert (latest["event"], before["event"]) == ("client.disable", "client.add")
    for act in (latest, before):
        assert act["audit"] is True
        assert act["subject"] == "recorded"
        assert act["actor"].startswith("arn:aws:sts::")
    assert before["ns"] == "acme"


@pytest.mark.parametrize(
    ("arguments", "expected_message"),
    [
        (["client", "list"], "one of --stack"),
        (["client", "list", "--stack", "ferry", "--table", "auth"], "one of --stack"),
        (["client", "list", "--stack", "absent"], "absent"),
        (["client", "list", "--stack", "other"], "AuthTableName"),
        (["client", "list", "--table", "absent"], "not known"),
        (["client", "show", "nobody", "--table", "auth"], "no client 'nobody'"),
        (["client", "list", "--local", "/nonexistent"], "make run"),
        (["client", "list", "--stack", "ferry", "--profile", "absent"], "absent"),
    ],
)
def test_command_failure_prints_cause_and_remedy(
    arguments: list[str], expected_message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """On stderr, with exit code 1; as JSON too where that was asked for. Never a stack trace."""
    assert main(arguments) == 1
    told = capsys.readouterr()
    assert expected_message in told.err
    assert told.err.startswith("ferry-admin: ")
    assert "Traceback" not in told.err
    assert main([*arguments, "--json"]) == 1
    assert expected_message in json.dumps(json.loads(capsys.readouterr().out))


def test_output_without_json_is_a_table(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json: columns; what is said beside the answer goes to stderr."""
    stack.token()
    assert main(["client", "add", "plain", "--namespace", "acme", "--table", "auth"]) == 0
    told = capsys.readouterr()
    assert "client_secret" in told.out
    assert "only time" in told.err
    for arguments in (["client", "list"], ["client", "show", "plain"], ["audit"], ["key", "list"]):
        assert main([*arguments, "--table", "auth"]) == 0
        assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in ("client", "key", "audit"))])
def test_help_has_examples(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Each page has examples or says what follows."""
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args(arguments)
    assert ended.value.code == 0
    assert len(capsys.readouterr().out) > 400
    assert len(COMMAND_MODULES) >= 3


def test_clock_follows_dynamodb_time() -> None:
    """An operator's clock that is an hour slow must not leave the last hour's tokens alive."""
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
    """`./ferry-admin` is executable, and names the program it runs."""
    wrapper = Path(__file__).parents[2] / "ferry-admin"
    assert wrapper.stat().st_mode & 0o111
    assert "-m admin" in wrapper.read_text(encoding="utf-8")
