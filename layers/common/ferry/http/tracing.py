"""X-Ray's picture of a request, where the stack's parameter switches it on. Off, nothing of it is loaded."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

Handler = Callable[[Any, Any], Any]


def with_tracing(handler: Handler, enabled: Callable[[], bool]) -> Handler:
    """The handler with a segment around each event, and one in it for each call to AWS; `on` is asked at the first.

    Answers and errors are not recorded: they hold presigned URLs, tokens and names.
    """

    @cache
    def chosen() -> Handler:
        if not enabled():
            return handler
        from aws_lambda_powertools import Tracer
        from aws_xray_sdk.core import xray_recorder

        tracer = Tracer(patch_modules=["botocore"])
        # Stages are fetched in threads, which have no segment of their own: that is no error.
        xray_recorder.configure(context_missing="IGNORE_ERROR")
        recorded: Handler = tracer.capture_lambda_handler(handler, capture_response=False, capture_error=False)
        return recorded

    def handle(event: object, context: object) -> object:
        return chosen()(event, context)

    return handle
