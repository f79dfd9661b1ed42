"""Find what a subcommand works on: a stack, a table, or the local service."""

from __future__ import annotations

import getpass
import json
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError
from botocore.session import Session

from admin.errors import AdminError
from admin.paths import LOCAL_STATE
from admin.ports import AdminContext
from admin.quota_store import DynamoQuotaStore
from admin.store import DryRunStore, DynamoAdminStore, server_clock
from ferry.auth.key_cache import MAX_TOKEN_TTL_SECONDS
from ferry.aws.dynamo import Table
from ferry.errors import BackendUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kms import KMSClient

    from ferry.ports.link_repository import LinkRepository

_CLIENT_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=5, read_timeout=10)


@dataclass(frozen=True, slots=True)
class Target:
    """What a subcommand works on."""

    option: str
    """The command-line option that names it, for hints: `--stack ferry`."""
    outputs: Mapping[str, str]
    """Outputs of the stack by name: `AuthTableName`, `MetadataTableName`, `ApiUrl`, ..."""
    stack_name: str = ""
    """Empty if only a table is known."""
    stack_status: str = ""
    """CloudFormation's status of the stack; empty if there is none."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Parameters of the stack by name; empty if only a table is known."""
    endpoint_url: str | None = None
    """Address of the local DynamoDB and KMS; None on AWS."""

    @property
    def token_ttl_seconds(self) -> int:
        """Return the lifetime of an access token; if unknown, the maximum."""
        return int(self.parameters.get("TokenTtlSeconds", MAX_TOKEN_TTL_SECONDS))


class Connection:
    """Clients and stores of a target, created on first use."""

    def __init__(self, session: Session, target: Target, actor: str, **client_options: str | None) -> None:
        self.target = target
        self._session = session
        self._actor = actor
        self._client_options = client_options

    @cached_property
    def dynamodb(self) -> DynamoDBClient:
        return cast("DynamoDBClient", self._client("dynamodb"))

    @cached_property
    def kms(self) -> KMSClient:
        return cast("KMSClient", self._client("kms"))

    @cached_property
    def cloudwatch(self) -> Any:
        return self._client("cloudwatch")

    @cached_property
    def context(self) -> AdminContext:
        """Return the context of operations on the auth table."""
        store = DynamoAdminStore(self.dynamodb, self.require_output("AuthTableName"))
        return AdminContext(store, self._actor, server_clock(self.dynamodb))

    @cached_property
    def dry_run_context(self) -> AdminContext:
        """Return a context whose operations write nothing."""
        store = DryRunStore(self.dynamodb, self.require_output("AuthTableName"))
        return AdminContext(store, self._actor, server_clock(self.dynamodb))

    @cached_property
    def quota_store(self) -> DynamoQuotaStore:
        """Return the quotas. Raises `AdminError` if the metadata table is unknown."""
        return DynamoQuotaStore(self.metadata_table)

    @cached_property
    def link_repository(self) -> LinkRepository:
        """Return the links. Raises `AdminError` if the metadata table is unknown."""
        from ferry.aws.link_repository import DynamoLinkRepository

        return DynamoLinkRepository(self.metadata_table)

    @cached_property
    def metadata_table(self) -> Table:
        """Return the metadata table. Raises `AdminError` if it is unknown."""
        return Table(self.dynamodb, self.require_output("MetadataTableName"))

    def require_output(self, name: str) -> str:
        """Return an output of the stack. Raises `AdminError` if it is unknown."""
        try:
            return self.target.outputs[name]
        except KeyError:
            raise AdminError(
                f"this needs {name}, which {self.target.option} does not have", "use --stack NAME"
            ) from None

    def _client(self, service: str) -> object:
        return _create_client(self._session, service, endpoint_url=self.target.endpoint_url, **self._client_options)


def _create_client(session: Session, service: str, **options: str | None) -> Any:
    create: Any = session.create_client
    return create(service, config=_CLIENT_CONFIG, **options)


def connect(options: Namespace) -> Connection:
    """Connect to the target: exactly one of the options `local`, `stack`, `table` is set.

    Raises:
        AdminError: there is no such stack or service, or AWS rejects the credentials.
        BackendUnavailable: AWS is unreachable.
    """
    if options.local is not None:
        return _local_connection(options.local)
    try:
        session = Session(profile=options.profile)
        region = options.region
        target = _stack_target(session, options.stack, region) if options.stack else _table_target(options.table)
        actor = _create_client(session, "sts", region_name=region).get_caller_identity()["Arn"]
    except (EndpointConnectionError, ConnectTimeoutError) as error:
        raise BackendUnavailable from error
    except (BotoCoreError, ClientError) as error:
        raise AdminError(f"AWS: {error}", "check the name, --profile, --region and the credentials") from error
    return Connection(session, target, actor, region_name=region)


def _table_target(table: str) -> Target:
    return Target(f"--table {table}", {"AuthTableName": table})


def _stack_target(session: Session, stack_name: str, region: str | None) -> Target:
    """Return the stack as CloudFormation describes it. Raises `ClientError` if there is none."""
    cloudformation = _create_client(session, "cloudformation", region_name=region)
    (stack,) = cloudformation.describe_stacks(StackName=stack_name)["Stacks"]
    outputs = {entry["OutputKey"]: entry["OutputValue"] for entry in stack.get("Outputs", [])}
    parameters = {entry["ParameterKey"]: entry["ParameterValue"] for entry in stack.get("Parameters", [])}
    if "AuthTableName" not in outputs:
        raise AdminError(
            f"the stack {stack_name} has no output AuthTableName", "name a stack that Ferry's template.yaml created"
        )
    return Target(
        f"--stack {stack_name}",
        outputs,
        stack_name=stack["StackName"],
        stack_status=stack.get("StackStatus", ""),
        parameters=parameters,
    )


def _local_connection(state_folder: Path) -> Connection:
    """Connect to the service that `make run` runs with that state folder. Raises `AdminError` if there is none."""
    try:
        ferry = json.loads((state_folder / "ferry.json").read_text(encoding="utf-8"))
        backends = json.loads((state_folder / "backends.json").read_text(encoding="utf-8"))
        target = Target(
            "--local" if state_folder == LOCAL_STATE else f"--local {state_folder}",
            {**backends["outputs"], "ApiUrl": ferry["base_url"]},
            stack_name=backends["stack"],
            parameters=backends["parameters"],
            endpoint_url=ferry["dynamodb_endpoint"],
        )
        client_options = {
            "aws_access_key_id": backends["access_key"],
            "aws_secret_access_key": backends["secret_key"],
            "region_name": backends["region"],
        }
    except (OSError, ValueError, KeyError) as error:
        raise AdminError(f"there is no local service in {state_folder}", "start one with `make run`") from error
    return Connection(Session(), target, f"local:{getpass.getuser()}", **client_options)
