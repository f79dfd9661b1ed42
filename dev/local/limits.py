"""AWS's limits, in bytes and seconds: HTTP API quotas and Lambda quotas, as their documentation gives them."""

from __future__ import annotations

MAX_GATEWAY_BODY_BYTES = 10 * 1024 * 1024
MAX_GATEWAY_HEAD_BYTES = 10_240
"""Request line and headers together."""
GATEWAY_TIMEOUT_SECONDS = 30.0
MAX_INVOKE_REQUEST_BYTES = 6 * 1024 * 1024
"""The event as JSON, a body in base64 included."""
MAX_ASYNC_EVENT_BYTES = 1024 * 1024
"""The event of an asynchronous invocation."""
MAX_INVOKE_RESPONSE_BYTES = 6 * 1024 * 1024 + 100
MAX_PUT_EVENTS_ENTRIES = 10
MAX_PUT_EVENTS_BYTES = 256 * 1024
"""The entries of one PutEvents, and their bytes together."""
