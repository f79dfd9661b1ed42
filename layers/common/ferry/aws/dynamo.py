"""One DynamoDB table in plain rows (`ferry.aws.expressions`), with retries of transient errors."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ferry.aws.errors import error_code, map_errors
from ferry.aws.expressions import Key, Row, Write, condition_params, decode_row, encode_key, encode_row
from ferry.errors import BackendUnavailable, Throttled
from ferry.ports.errors import ConcurrentUpdate

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CONDITION_FAILED_CODE = "ConditionalCheckFailedException"
TRANSACTION_CANCELED_CODE = "TransactionCanceledException"

MAX_ATTEMPTS = 6
"""Attempts of one call, and of one batch, that meets transient errors."""

INITIAL_BACKOFF_SECONDS = 0.02
"""Longest wait before the second attempt; doubles with each further one."""

MAX_BATCH_WRITE = 25
"""DynamoDB's limit of BatchWriteItem."""

MAX_BATCH_READ = 100
"""DynamoDB's limit of BatchGetItem."""

_CONDITION_REASON = "ConditionalCheckFailed"

TRANSIENT_ERRORS = frozenset(
    {
        "TransactionConflictException",
        "TransactionInProgressException",
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "TransactionConflict",
        "ProvisionedThroughputExceeded",
        "ThrottlingError",
        "RequestLimitExceededError",
    }
)
"""Error codes, and reasons of a canceled transaction, after which nothing was written and a retry may succeed.

Another transaction uses the same rows, or capacity is short.
"""


class ConditionFailed(Exception):
    """The condition of a single write failed. Nothing was written."""

    def __init__(self, row: Row | None) -> None:
        super().__init__("the condition failed")
        self.row = row
        """The row as it is stored; None if it does not exist."""


class TransactionFailed(ConcurrentUpdate):
    """Conditions of a transaction failed. Nothing was written."""

    def __init__(self, failed: Mapping[int, Row | None]) -> None:
        super().__init__()
        self.failed = failed
        """The rows as they are stored, by the position of their write; None if one does not exist or was not asked for.

        Only writes whose condition failed have an entry.
        """


class Table:
    """Calls on one table. Reads are strongly consistent.

    Every method raises `BackendUnavailable` if DynamoDB fails, and `Throttled` if transient errors persist.
    """

    def __init__(self, client: DynamoDBClient, name: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._name = name
        self._sleep = sleep

    def get(self, key: Key) -> Row | None:
        response = self._call(self._client.get_item, TableName=self._name, Key=encode_key(key), ConsistentRead=True)
        return decode_row(response["Item"]) if "Item" in response else None

    def transact_get(self, keys: Sequence[Key]) -> list[Row | None]:
        """Return rows as they were at one moment, in the order of the keys."""
        items: Any = [{"Get": {"TableName": self._name, "Key": encode_key(key)}} for key in keys]
        response = self._call(self._client.transact_get_items, TransactItems=items)
        return [decode_row(found["Item"]) if "Item" in found else None for found in response["Responses"]]

    def query(
        self,
        key_condition: str,
        values: Mapping[str, Any],
        *,
        filter_expression: str = "",
        index: str = "",
        limit: int | None = None,
        start_key: Row | None = None,
    ) -> tuple[list[Row], Row | None]:
        """Return one page of rows, and the key to continue from (None: this is the last page).

        `limit` counts rows before the filter. A query of an index is eventually consistent.
        """
        params = condition_params("", values, f"{key_condition} {filter_expression}")
        params |= {"TableName": self._name, "KeyConditionExpression": key_condition}
        params |= {"IndexName": index} if index else {"ConsistentRead": True}
        if filter_expression:
            params["FilterExpression"] = filter_expression
        if limit is not None:
            params["Limit"] = limit
        if start_key is not None:
            params["ExclusiveStartKey"] = encode_row(start_key)
        response = self._call(self._client.query, **params)
        last_key = response.get("LastEvaluatedKey")
        return [decode_row(item) for item in response["Items"]], decode_row(last_key) if last_key else None

    def query_all(self, key_condition: str, values: Mapping[str, Any]) -> Iterator[Row]:
        """Yield the rows of all pages. One call for each MB."""
        start_key: Row | None = None
        while True:
            rows, start_key = self.query(key_condition, values, start_key=start_key)
            yield from rows
            if start_key is None:
                return

    def batch_get(self, keys: Iterable[Key]) -> Iterator[Row]:
        """Yield the existing rows among the keys, in any order. One call for each `MAX_BATCH_READ` keys."""
        encoded_keys = [encode_key(key) for key in dict.fromkeys(keys)]
        for first in range(0, len(encoded_keys), MAX_BATCH_READ):
            unprocessed: Any = {
                self._name: {"Keys": encoded_keys[first : first + MAX_BATCH_READ], "ConsistentRead": True}
            }
            for attempt in range(MAX_ATTEMPTS):
                response = self._call(self._client.batch_get_item, RequestItems=unprocessed)
                yield from map(decode_row, response["Responses"].get(self._name, []))
                unprocessed = response.get("UnprocessedKeys")
                if not unprocessed:
                    break
                self._back_off(attempt)
            else:
                raise BackendUnavailable

    def write(self, write: Write) -> Row:
        """Make one write, and return the new row if it is an update.

        Raises:
            ConditionFailed: the condition failed; nothing was written.
        """
        operations: Mapping[str, Callable[..., Any]] = {
            "Put": self._client.put_item,
            "Update": self._client.update_item,
            "Delete": self._client.delete_item,
        }
        params = {"TableName": self._name, **write.params}
        if "ConditionExpression" in params:
            params["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        if write.kind == "Update":
            params["ReturnValues"] = "ALL_NEW"
        try:
            response = self._call(operations[write.kind], CONDITION_FAILED_CODE, **params)
        except ClientError as error:
            item: Any = error.response.get("Item")
            raise ConditionFailed(decode_row(item) if item else None) from error
        return decode_row(response.get("Attributes", {}))

    def conditional_write(self, write: Write) -> None:
        """Make one write whose failed condition means a concurrent update.

        Raises:
            ConcurrentUpdate: the condition failed; nothing was written.
        """
        try:
            self.write(write)
        except ConditionFailed as failed:
            raise ConcurrentUpdate from failed

    def transact_write(self, writes: Iterable[Write]) -> None:
        """Make all writes or none.

        All attempts have the same token, so that DynamoDB recognizes an attempt whose response was lost.

        Raises:
            TransactionFailed: a condition failed; nothing was written.
        """
        items = [{write.kind: {"TableName": self._name, **write.params}} for write in writes]
        token = str(uuid.uuid4())
        try:
            self._call(
                self._client.transact_write_items,
                TRANSACTION_CANCELED_CODE,
                TransactItems=items,
                ClientRequestToken=token,
            )
        except ClientError as error:
            raise TransactionFailed(_failed_conditions(error)) from error

    def batch_delete(self, keys: Iterable[Key]) -> None:
        """Delete rows without conditions. One call for each `MAX_BATCH_WRITE` rows; not a transaction."""
        requests = [{"DeleteRequest": {"Key": encode_key(key)}} for key in keys]
        for first in range(0, len(requests), MAX_BATCH_WRITE):
            unprocessed: Any = {self._name: requests[first : first + MAX_BATCH_WRITE]}
            for attempt in range(MAX_ATTEMPTS):
                response = self._call(self._client.batch_write_item, RequestItems=unprocessed)
                unprocessed = response.get("UnprocessedItems")
                if not unprocessed:
                    break
                self._back_off(attempt)
            else:
                raise Throttled

    def _call(self, operation: Callable[..., Any], *passthrough: str, **params: object) -> Mapping[str, Any]:
        """Make a call, and repeat it after transient errors. Errors with a `passthrough` code are raised as is."""
        for attempt in range(MAX_ATTEMPTS):
            try:
                with map_errors(*TRANSIENT_ERRORS, TRANSACTION_CANCELED_CODE, *passthrough):
                    response: Mapping[str, Any] = operation(**params)
                    return response
            except ClientError as error:
                codes = _error_codes(error)
                if _CONDITION_REASON in codes or error_code(error) == CONDITION_FAILED_CODE:
                    raise
                if not codes <= TRANSIENT_ERRORS:
                    raise BackendUnavailable from error
                self._back_off(attempt)
        raise Throttled

    def _back_off(self, attempt: int) -> None:
        # Instances restored from one SnapStart snapshot share the state of `random`; their waits would be equal.
        self._sleep(secrets.SystemRandom().uniform(0, INITIAL_BACKOFF_SECONDS * 2**attempt))


def _failed_conditions(error: ClientError) -> dict[int, Row | None]:
    """Return the rows of a canceled transaction whose conditions failed, by the position of their write."""
    reasons: Any = error.response.get("CancellationReasons", [])
    return {
        position: decode_row(reason["Item"]) if reason.get("Item") else None
        for position, reason in enumerate(reasons)
        if reason.get("Code") == _CONDITION_REASON
    }


def _error_codes(error: ClientError) -> set[str]:
    """Return the reasons of a canceled transaction; for any other error its code."""
    if error_code(error) != TRANSACTION_CANCELED_CODE:
        return {error_code(error)}
    reasons: Any = error.response.get("CancellationReasons", [])
    return {reason["Code"] for reason in reasons if reason.get("Code", "None") != "None"}
