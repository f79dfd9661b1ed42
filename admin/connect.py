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
from admin.registry import Desk
from admin.table import AdminTable, server_clock
from ferry.access.keyring import MAX_LIFETIME

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kms import KMSClient

ROOT = Path(__file__).parent.parent
_RETRIES = Config(retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=5, read_timeout=10)


@dataclass(frozen=True, slots=True)
class Place:
    """`resources` maps the stack's outputs (`AccessTableName`, ...) to physical names; `stack` is empty when all that
    is known is a table. `token_lifetime` is seconds; `endpoint` is where stand-ins answer.
    """

    resources: Mapping[str, str]
    stack: str = ""
    token_lifetime: int = MAX_LIFETIME
    endpoint: str | None = None


class Connection:
    """Clients and stores, made when first asked for."""

    def __init__(self, session: Session, place: Place, actor: str) -> None:
        self.place = place
        self._session = session
        self._actor = actor

    @cached_property
    def dynamodb(self) -> DynamoDBClient:
        return cast("DynamoDBClient", self._client("dynamodb"))

    @cached_property
    def kms(self) -> KMSClient:
        return cast("KMSClient", self._client("kms"))

    @cached_property
    def desk(self) -> Desk:
        """For what is in the access table."""
        clock = server_clock(self.dynamodb)
        return Desk(AdminTable(self.dynamodb, self.resource("AccessTableName")), self._actor, clock)

    def resource(self, output: str) -> str:
        """The physical name behind an output of the stack. Raises `AdminError`."""
        try:
            return self.place.resources[output]
        except KeyError:
            raise AdminError(f"there is no {output} among what is known here", "name the stack: --stack NAME") from None

    def _client(self, service: str) -> object:
        make: Any = self._session.client
        return make(service, endpoint_url=self.place.endpoint, config=_RETRIES)


def connect(options: Namespace) -> Connection:
    """By the options of `admin.cli`: exactly one of `local`, `stack`, `table`. Raises `AdminError`."""
    chosen = [name for name in ("local", "stack", "table") if getattr(options, name) is not None]
    if len(chosen) != 1:
        raise AdminError(
            "say where: one of --stack NAME, --table NAME, --local",
            "--stack for what `sam deploy` made, --local for a running `make run`",
        )
    if options.local is not None:
        return _local(options.local)
    try:
        session = Session(profile_name=options.profile, region_name=options.region)
        place = _stack(session, options.stack) if options.stack else Place({"AccessTableName": options.table})
        actor = session.client("sts", config=_RETRIES).get_caller_identity()["Arn"]
    except (BotoCoreError, ClientError) as error:
        raise AdminError(f"AWS: {error}", "check --profile, --region and the credentials in the environment") from error
    return Connection(session, place, actor)


def _stack(session: Session, name: str) -> Place:
    """Raises `ClientError` when there is none."""
    (stack,) = session.client("cloudformation", config=_RETRIES).describe_stacks(StackName=name)["Stacks"]
    outputs = {entry["OutputKey"]: entry["OutputValue"] for entry in stack.get("Outputs", [])}
    parameters = {entry["ParameterKey"]: entry["ParameterValue"] for entry in stack.get("Parameters", [])}
    if "AccessTableName" not in outputs:
        raise AdminError(f"the stack {name} has no output AccessTableName", "is it one of Ferry's, and whole?")
    return Place(outputs, stack["StackName"], int(parameters.get("TokenLifetime", MAX_LIFETIME)))


def _local(folder: Path) -> Connection:
    """The service that `make run` keeps in that folder."""
    try:
        ferry = json.loads((folder / "ferry.json").read_text(encoding="utf-8"))
        backends = json.loads((folder / "backends.json").read_text(encoding="utf-8"))
        place = Place(
            backends["resources"], backends["stack"], int(backends["token_lifetime"]), ferry["dynamodb_endpoint"]
        )
        session = Session(
            aws_access_key_id=backends["access_key"],
            aws_secret_access_key=backends["secret_key"],
            region_name=backends["region"],
        )
    except (OSError, ValueError, KeyError) as error:
        raise AdminError(f"there is no local service in {folder}", "start one with `make run` first") from error
    return Connection(session, place, f"local:{getpass.getuser()}")
