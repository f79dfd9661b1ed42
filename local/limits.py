"""AWS's limits, in bytes and seconds: HTTP API quotas and Lambda quotas, as their documentation gives them."""

from __future__ import annotations

GATEWAY_BODY = 10 * 1024 * 1024
GATEWAY_HEAD = 10_240
"""Request line and headers together."""
GATEWAY_SECONDS = 30.0
INVOKE_REQUEST = 6 * 1024 * 1024
"""The event as JSON, a body in base64 included."""
EVENT = 1024 * 1024
"""The event of an asynchronous invocation."""
INVOKE_RESPONSE = 6 * 1024 * 1024 + 100
EVENTS_AT_ONCE = 10
EVENTS_BYTES = 256 * 1024
"""The entries of one PutEvents, and their bytes together."""
