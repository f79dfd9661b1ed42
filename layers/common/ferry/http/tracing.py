"""Tracing with X-Ray, where the stack's parameter switches it on. Otherwise its library is not imported."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

Handler = Callable[[Any, Any], Any]


def with_tracing(handler: Handler, enabled: Callable[[], bool]) -> Handler:
    """Return the handler with a segment for each event and a subsegment for each call to AWS.

    `enabled` is called for the first event. Responses and errors are not recorded: they contain presigned URLs, tokens
    and file names.
    """

    @cache
    def traced_handler() -> Handler:
        if not enabled():
            return handler
        from aws_lambda_powertools import Tracer
        from aws_xray_sdk.core import xray_recorder

        tracer = Tracer(patch_modules=["botocore"])
        # Staged chunks are fetched in threads, which have no segment.
        xray_recorder.configure(context_missing="IGNORE_ERROR")
        traced: Handler = tracer.capture_lambda_handler(handler, capture_response=False, capture_error=False)
        return traced

    def handle(event: object, context: object) -> object:
        return traced_handler()(event, context)

    return handle
