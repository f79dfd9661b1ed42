"""The properties of the servers that the other tests rely on."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest

from dev.local import tcp_ports
from ferry.aws.session import AwsSession


def non_loopback_addresses() -> list[str]:
    """Return this machine's addresses that another machine could reach."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # looks up the route and sends nothing
        except OSError:
            return []
        return [probe.getsockname()[0]]


@pytest.mark.parametrize("server", ["s3_endpoint", "dynamodb_endpoint"])
def test_servers_listen_on_loopback_only(server: str, request: pytest.FixtureRequest) -> None:
    """The servers listen on the loopback interface alone."""
    port = urlsplit(request.getfixturevalue(server)).port
    assert port
    assert not tcp_ports.is_free(port)
    for address in non_loopback_addresses():
        with pytest.raises(ConnectionRefusedError), socket.create_connection((address, port), timeout=5):
            pass


def test_new_table_and_bucket_are_empty(
    dynamodb_endpoint: str, metadata_table: str, s3_endpoint: str, bucket: str
) -> None:
    """A new table has the template's index, and a new bucket has no keys."""
    session = AwsSession({"dynamodb": dynamodb_endpoint, "s3": s3_endpoint})
    described = session.dynamodb.describe_table(TableName=metadata_table)["Table"]
    assert [index["IndexName"] for index in described["GlobalSecondaryIndexes"]] == ["due_tasks"]
    assert session.s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
