"""Events of API Gateway's HTTP APIs, payload format 2.0, as AWS documents them.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

REQUEST_ID = "JKJaXmPLvHcESHA="
_TEXT_TYPES = ("application/json", "application/xml", "application/javascript", "text/")


def build_event(
    route_key: str,
    *,
    filename: str | None = None,
    path: Mapping[str, str] | None = None,
    query: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> dict[str, Any]:
    """Return the event that API Gateway sends for a request.

    The path is percent-decoded and header names are in lower case. A body is base64 unless its content type is text.
    Parameters of the path that are not given are `absent`.
    """
    method, _, template = route_key.partition(" ")
    parameters = dict.fromkeys(re.findall(r"\{(\w+)\}", template), "absent") | dict(path or {})
    if filename is not None:
        parameters["filename"] = filename
    raw_path = re.sub(r"\{(\w+)\+?\}", lambda found: parameters.get(found[1], found[0]), template)
    lower_case_headers = {name.lower(): value for name, value in (headers or {}).items()}
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": raw_path,
        "rawQueryString": urlencode(query or {}),
        "headers": {
            "accept": "*/*",
            "host": "id.execute-api.us-east-1.amazonaws.com",
            "user-agent": "curl/8.5.0",
            "x-amzn-trace-id": "Root=1-6501f5b4-2f4b7d0a3f6c1e5d7a8b9c0d",
            "x-forwarded-for": "192.0.2.1",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
            **lower_case_headers,
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "id",
            "domainName": "id.execute-api.us-east-1.amazonaws.com",
            "domainPrefix": "id",
            "http": {
                "method": method,
                "path": raw_path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "curl/8.5.0",
            },
            "requestId": REQUEST_ID,
            "routeKey": route_key,
            "stage": "$default",
            "time": "22/Nov/2026:19:03:58 +0000",
            "timeEpoch": 1795374238390,
        },
        "isBase64Encoded": False,
    }
    if query:
        event["queryStringParameters"] = _joined(query)
    if parameters:
        event["pathParameters"] = parameters
    if body is not None:
        event["headers"].setdefault("content-length", str(len(body)))
        is_text = lower_case_headers.get("content-type", "").startswith(_TEXT_TYPES)
        event["body"] = body.decode("utf-8", "replace") if is_text else base64.b64encode(body).decode()
        event["isBase64Encoded"] = not is_text
    return event


def _joined(query: Mapping[str, str] | Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return query parameters as the gateway passes them: the values of a repeated one are joined by commas."""
    joined: dict[str, str] = {}
    for name, value in query.items() if isinstance(query, Mapping) else query:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined
