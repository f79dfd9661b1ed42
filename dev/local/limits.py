"""Limits of AWS, from the documentation of API Gateway's HTTP APIs, Lambda and EventBridge."""

from __future__ import annotations

MAX_GATEWAY_BODY_BYTES = 10 * 1024 * 1024
"""A request body."""
MAX_GATEWAY_HEAD_BYTES = 10_240
"""The request line and the headers together."""
GATEWAY_TIMEOUT_SECONDS = 30.0
"""The longest time that the gateway waits for a function."""
MAX_INVOKE_REQUEST_BYTES = 6 * 1024 * 1024
"""The event of a synchronous invocation as JSON, with a binary body in base64."""
MAX_ASYNC_EVENT_BYTES = 1024 * 1024
"""The event of an asynchronous invocation."""
MAX_INVOKE_RESPONSE_BYTES = 6 * 1024 * 1024 + 100
"""What a function returns, as JSON."""
MAX_PUT_EVENTS_ENTRIES = 10
"""The entries of one PutEvents request."""
MAX_PUT_EVENTS_BYTES = 256 * 1024
"""The entries of one PutEvents request together."""
