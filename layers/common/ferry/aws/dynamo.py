"""One DynamoDB table, spoken to in plain rows (`ferry.aws.expressions`), and what to do when it is busy."""

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
INITIAL_BACKOFF_SECONDS = 0.02
MAX_BATCH_WRITE = 25
MAX_BATCH_READ = 100
_CONDITION_REASON = "ConditionalCheckFailed"

# Others are at the same rows, or there is no capacity just now: nothing was written, and the same may be asked again.
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


class ConditionFailed(Exception):
    """An update's condition did not hold. `row` is the row as it stands (None: there is none)."""

    def __init__(self, row: Row | None) -> None:
        super().__init__("the condition did not hold")
        self.row = row


class Table:
    """The calls. All raise `BackendUnavailable` when DynamoDB fails or stays busy; reads are strongly consistent."""

    def __init__(self, client: DynamoDBClient, name: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._name = name
        self._sleep = sleep

    def get(self, key: Key) -> Row | None:
        answer = self._call(self._client.get_item, TableName=self._name, Key=encode_key(key), ConsistentRead=True)
        return decode_row(answer["Item"]) if "Item" in answer else None

    def transact_get(self, keys: Sequence[Key]) -> list[Row | None]:
        """Rows as all of them were at one moment, in the order of the keys."""
        wanted: Any = [{"Get": {"TableName": self._name, "Key": encode_key(key)}} for key in keys]
        answer = self._call(self._client.transact_get_items, TransactItems=wanted)
        return [decode_row(found["Item"]) if "Item" in found else None for found in answer["Responses"]]

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
        """One page, and the key to go on from. `limit` counts the rows looked at, before `only` filters them."""
        params = condition_params("", values, f"{key_condition} {filter_expression}")
        params |= {"TableName": self._name, "KeyConditionExpression": key_condition}
        params |= {"IndexName": index} if index else {"ConsistentRead": True}
        if filter_expression:
            params["FilterExpression"] = filter_expression
        if limit is not None:
            params["Limit"] = limit
        if start_key is not None:
            params["ExclusiveStartKey"] = encode_row(start_key)
        answer = self._call(self._client.query, **params)
        last = answer.get("LastEvaluatedKey")
        return [decode_row(item) for item in answer["Items"]], decode_row(last) if last else None

    def query_all(self, key_condition: str, values: Mapping[str, Any]) -> Iterator[Row]:
        """All pages; a call for each MB."""
        start: Row | None = None
        while True:
            rows, start = self.query(key_condition, values, start_key=start)
            yield from rows
            if start is None:
                return

    def batch_get(self, keys: Iterable[Key]) -> Iterator[Row]:
        """Those rows that there are, in any order; a call for each hundred."""
        wanted = [encode_key(key) for key in dict.fromkeys(keys)]
        for first in range(0, len(wanted), MAX_BATCH_READ):
            left: Any = {self._name: {"Keys": wanted[first : first + MAX_BATCH_READ], "ConsistentRead": True}}
            for attempt in range(MAX_ATTEMPTS):
                answer = self._call(self._client.batch_get_item, RequestItems=left)
                yield from map(decode_row, answer["Responses"].get(self._name, []))
                left = answer.get("UnprocessedKeys")
                if not left:
                    break
                self._back_off(attempt)
            else:
                raise BackendUnavailable

    def write(self, write: Write) -> Row:
        """One write; returns the row as it is after an update.

        Raises:
            ConditionFailed: nothing was written.
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
            answer = self._call(operations[write.kind], CONDITION_FAILED_CODE, **params)
        except ClientError as error:
            item: Any = error.response.get("Item")
            raise ConditionFailed(decode_row(item) if item else None) from error
        return decode_row(answer.get("Attributes", {}))

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
        """All or nothing. One token for all tries, so that a try whose answer was lost is not made twice.

        Raises:
            Moved: a condition did not hold; nothing was written.
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
            raise ConcurrentUpdate from error

    def batch_delete(self, keys: Iterable[Key]) -> None:
        """Delete rows without conditions, in batches; not a transaction."""
        requests = [{"DeleteRequest": {"Key": encode_key(key)}} for key in keys]
        for first in range(0, len(requests), MAX_BATCH_WRITE):
            left: Any = {self._name: requests[first : first + MAX_BATCH_WRITE]}
            for attempt in range(MAX_ATTEMPTS):
                left = self._call(self._client.batch_write_item, RequestItems=left).get("UnprocessedItems")
                if not left:
                    break
                self._back_off(attempt)
            else:
                raise Throttled

    def _call(self, operation: Callable[..., Any], *passthrough: str, **params: object) -> Mapping[str, Any]:
        """Call, and again while others are in the way. `passing` codes come through as `ClientError`."""
        for attempt in range(MAX_ATTEMPTS):
            try:
                with map_errors(*TRANSIENT_ERRORS, TRANSACTION_CANCELED_CODE, *passthrough):
                    answer: Mapping[str, Any] = operation(**params)
                    return answer
            except ClientError as error:
                codes = _error_codes(error)
                if _CONDITION_REASON in codes or error_code(error) == CONDITION_FAILED_CODE:
                    raise
                if not codes <= TRANSIENT_ERRORS:
                    raise BackendUnavailable from error
                self._back_off(attempt)
        raise Throttled

    def _back_off(self, attempt: int) -> None:
        # The system's randomness: copies restored from one snapshot share the state of `random`, and would wait alike.
        self._sleep(secrets.SystemRandom().uniform(0, INITIAL_BACKOFF_SECONDS * 2**attempt))


def _error_codes(error: ClientError) -> set[str]:
    """Why it failed: for a transaction the reasons of its rows, else the code itself."""
    if error_code(error) != TRANSACTION_CANCELED_CODE:
        return {error_code(error)}
    reasons: Any = error.response.get("CancellationReasons", [])
    return {reason["Code"] for reason in reasons if reason.get("Code", "None") != "None"}
