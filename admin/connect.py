"""What a subcommand works on: the stack of that name, a table, or the local service."""

from __future__ import annotations

import getpass
import json
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from admin.errors import AdminError
from admin.ports import AdminContext
from admin.store import DynamoAdminStore, server_clock
from ferry.auth.key_cache import MAX_TOKEN_TTL_SECONDS

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kms import KMSClient

ROOT = Path(__file__).parent.parent
_CLIENT_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=5, read_timeout=10)


@dataclass(frozen=True, slots=True)
class Target:
    """`resources` maps the stack's outputs (`AuthTableName`, ...) to physical names; `stack` is empty when all that
    is known is a table. `token_lifetime` is seconds; `endpoint` is where stand-ins answer.
    """

    outputs: Mapping[str, str]
    stack_name: str = ""
    token_ttl_seconds: int = MAX_TOKEN_TTL_SECONDS
    endpoint_url: str | None = None


class Connection:
    """Clients and stores, made when first asked for."""

    def __init__(self, session: Session, target: Target, actor: str) -> None:
        self.target = target
        self._session = session
        self._actor = actor

    @cached_property
    def dynamodb(self) -> DynamoDBClient:
        return cast("DynamoDBClient", self._client("dynamodb"))

    @cached_property
    def kms(self) -> KMSClient:
        return cast("KMSClient", self._client("kms"))

    @cached_property
    def context(self) -> AdminContext:
        """For what is in the access table."""
        clock = server_clock(self.dynamodb)
        return AdminContext(DynamoAdminStore(self.dynamodb, self.require_output("AuthTableName")), self._actor, clock)

    def require_output(self, output_name: str) -> str:
        """The physical name behind an output of the stack. Raises `AdminError`."""
        try:
            return self.target.outputs[output_name]
        except KeyError:
            raise AdminError(
                f"there is no {output_name} among what is known here", "name the stack: --stack NAME"
            ) from None

    def _client(self, service: str) -> object:
        make: Any = self._session.client
        return make(service, endpoint_url=self.target.endpoint_url, config=_CLIENT_CONFIG)


def connect(options: Namespace) -> Connection:
    """By the options of `admin.cli`: exactly one of `local`, `stack`, `table`. Raises `AdminError`."""
    chosen = [name for name in ("local", "stack", "table") if getattr(options, name) is not None]
    if len(chosen) != 1:
        raise AdminError(
            "say where: one of --stack NAME, --table NAME, --local",
            "--stack for what `sam deploy` made, --local for a running `make run`",
        )
    if options.local is not None:
        return _local_connection(options.local)
    try:
        session = Session(profile_name=options.profile, region_name=options.region)
        place = _stack_target(session, options.stack) if options.stack else Target({"AuthTableName": options.table})
        actor = session.client("sts", config=_CLIENT_CONFIG).get_caller_identity()["Arn"]
    except (BotoCoreError, ClientError) as error:
        raise AdminError(f"AWS: {error}", "check --profile, --region and the credentials in the environment") from error
    return Connection(session, place, actor)


def _stack_target(session: Session, stack_name: str) -> Target:
    """Raises `ClientError` when there is none."""
    (stack,) = session.client("cloudformation", config=_CLIENT_CONFIG).describe_stacks(StackName=stack_name)["Stacks"]
    outputs = {entry["OutputKey"]: entry["OutputValue"] for entry in stack.get("Outputs", [])}
    parameters = {entry["ParameterKey"]: entry["ParameterValue"] for entry in stack.get("Parameters", [])}
    if "AuthTableName" not in outputs:
        raise AdminError(f"the stack {stack_name} has no output AuthTableName", "is it one of Ferry's, and whole?")
    return Target(outputs, stack["StackName"], int(parameters.get("TokenTtlSeconds", MAX_TOKEN_TTL_SECONDS)))


def _local_connection(state_folder: Path) -> Connection:
    """The service that `make run` keeps in that folder."""
    try:
        ferry = json.loads((state_folder / "ferry.json").read_text(encoding="utf-8"))
        backends = json.loads((state_folder / "backends.json").read_text(encoding="utf-8"))
        place = Target(
            backends["outputs"], backends["stack"], int(backends["token_ttl_seconds"]), ferry["dynamodb_endpoint"]
        )
        session = Session(
            aws_access_key_id=backends["access_key"],
            aws_secret_access_key=backends["secret_key"],
            region_name=backends["region"],
        )
    except (OSError, ValueError, KeyError) as error:
        raise AdminError(f"there is no local service in {state_folder}", "start one with `make run` first") from error
    return Connection(session, place, f"local:{getpass.getuser()}")
