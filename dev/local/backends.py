"""Start S3 and DynamoDB on this machine, and create what the template defines in them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from dev.local import clients, consistency, ministack_server, provision, s3_server, s3_volumes, stack
from dev.local.clients import LocalClient
from dev.local.disk_space import DiskSpace, restart_after_full_disk
from dev.local.errors import LocalError
from dev.local.provision import Backends
from dev.local.stack import Stack
from dev.local.state import START_ANEW, StateFolder, new_secret

BACKENDS_FILE = "backends.json"
_AUTH_TABLE = "AuthTable"
_RECORD_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class RunningBackends:
    """The two servers, and what was created in them."""

    s3: s3_server.S3Server
    """SeaweedFS."""
    dynamodb: ministack_server.MinistackServer
    """ministack: DynamoDB and KMS."""
    credentials: Mapping[str, str]
    """AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, which both servers accept."""
    key_ids: Mapping[str, str]
    """The ids of the KMS keys, by logical id."""
    space: DiskSpace
    """The free space of the state folder's disk."""
    lines: Mapping[str, str] = field(default_factory=dict)
    """URLs of the lines with delays before S3 and DynamoDB, by service; empty without a network model."""

    def storage_is_low(self) -> bool:
        """Return whether requests that store data must be rejected for lack of disk space."""
        return not self.s3.accepts_writes or self.space.is_low()

    async def recover_from_full_disk(self) -> None:
        """Make S3 usable again each time after its disk was full, until this is cancelled."""
        await restart_after_full_disk(self.space, self.s3)

    async def record_volumes(self) -> None:
        """Write down which volumes S3 has, each time that changes, until this is cancelled."""
        while True:
            with contextlib.suppress(OSError):
                s3_volumes.record_volumes(self.s3.folder)
            await asyncio.sleep(_RECORD_SECONDS)

    @property
    def endpoints(self) -> dict[str, str]:
        """The URLs of FERRY_ENDPOINTS, by service."""
        urls = {"s3": self.s3.url, "dynamodb": self.dynamodb.url, **self.lines}
        return {**urls, "kms": urls["dynamodb"]}

    @property
    def client_options(self) -> dict[str, str]:
        """The keys and the region, by the names of boto3's parameters."""
        return {
            "aws_access_key_id": self.credentials["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": self.credentials["AWS_SECRET_ACCESS_KEY"],
            "region_name": stack.REGION,
        }

    async def wait_for_exit(self) -> str:
        """Wait until one of the servers has ended, and return its name."""
        while True:
            for name, server in (("SeaweedFS", self.s3), ("ministack", self.dynamodb)):
                if not server.alive:
                    return name
            await asyncio.sleep(0.5)


async def start_backends(
    state: StateFolder, draft: Stack, people: list[LocalClient], running: contextlib.AsyncExitStack
) -> RunningBackends:
    """Start both servers and create the keys, tables, buckets and clients that are missing. Raises `LocalError`.

    Args:
        state: the state folder; `backends.json` in it has the access keys, ports and key ids of the run before.
        draft: the stack to create.
        people: the clients to store in the auth table.
        running: stops the servers when it is closed.
    """
    saved = _read_saved(state)
    access_key, secret_key = str(saved["access_key"]), str(saved["secret_key"])
    credentials = {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key}
    space = DiskSpace(state.folder)
    try:
        s3, dynamodb = await _start_servers(state, saved, credentials, running)
        backends = Backends(s3.url, dynamodb.url, dynamodb.url, access_key, secret_key)
        key_ids = await asyncio.to_thread(
            provision.provision, backends, draft, saved.get("keys", {}), storage_is_low=space.is_low()
        )
    except LocalError as error:
        if space.is_low():
            raise LocalError(f"the disk of {state.folder} is full: free some space, then start again") from error
        raise
    await asyncio.to_thread(consistency.check_stored_bytes, backends, draft, str(state.folder / "s3"))
    content = {
        "access_key": access_key,
        "secret_key": secret_key,
        "keys": key_ids,
        "s3_ports": list(s3.ports.values()),
        "dynamodb_port": dynamodb.port,
        **_admin_info(draft),
    }
    state.write_checked_json(BACKENDS_FILE, content)
    if _AUTH_TABLE in draft.tables:
        store = clients.ClientTable(backends.dynamodb_client(), stack.physical_name(_AUTH_TABLE))
        await asyncio.to_thread(clients.seed_clients, store, people)
    s3.wait_until_writable = partial(asyncio.to_thread, provision.wait_until_writable, backends, draft)
    return RunningBackends(s3, dynamodb, credentials, key_ids, space)


def _read_saved(state: StateFolder) -> Mapping[str, Any]:
    """Return `backends.json`; before the first start, new access keys, which are stored there. Raises `LocalError`."""
    saved = state.read_checked_json(BACKENDS_FILE)
    new_keys = {"access_key": f"FERRY{new_secret()[:16]}", "secret_key": new_secret()}
    if saved:
        return {**new_keys, **saved}
    if (state.folder / "dynamodb").is_dir():
        raise LocalError(
            f"{state.folder / BACKENDS_FILE} is gone. With it the signing key's id and the access keys are lost. "
            f"Put it back from a copy, or delete all state and start with none: {START_ANEW}"
        )
    # Before anything is stored under these keys: a kill during the first start leaves a state that can start.
    state.write_checked_json(BACKENDS_FILE, new_keys)
    return new_keys


async def _start_servers(
    state: StateFolder, saved: Mapping[str, Any], credentials: Mapping[str, str], running: contextlib.AsyncExitStack
) -> tuple[s3_server.S3Server, ministack_server.MinistackServer]:
    """Start both servers at once, on the ports of the run before where those are free."""

    def saved_ports(name: str) -> list[int]:
        found = saved.get(name, [])
        return [int(port) for port in (found if isinstance(found, list) else [found])]

    starts = await asyncio.gather(
        s3_server.start(state, credentials, saved_ports("s3_ports")),
        ministack_server.start(state, credentials, saved_ports("dynamodb_port")),
        return_exceptions=True,
    )
    for server in starts:
        if not isinstance(server, BaseException):
            running.push_async_callback(server.stop)
    s3, dynamodb = starts
    if isinstance(s3, BaseException):
        raise s3
    if isinstance(dynamodb, BaseException):
        raise dynamodb
    return s3, dynamodb


def _admin_info(draft: Stack) -> dict[str, Any]:
    """Return what `ferry-admin` asks CloudFormation for on AWS, and reads from this file with `--local`."""
    return {
        "stack": stack.PSEUDO_PARAMETERS["AWS::StackName"],
        "region": stack.REGION,
        "outputs": {f"{logical}Name": stack.physical_name(logical) for logical in draft.tables},
        "parameters": {
            name: str(draft.parameters[name])
            for name in ("TokenTtlSeconds", "EnableEvents")
            if name in draft.parameters
        },
    }
