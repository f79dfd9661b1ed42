"""Events of an HTTP API, payload format 2.0, in the shape that AWS documents.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

REQUEST_ID = "JKJaXmPLvHcESHA="
_TEXT = ("application/json", "text/")


def build_event(
    route_key: str,
    *,
    filename: str | None = None,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> dict[str, Any]:
    """One request as the gateway hands it on.

    The path is decoded, header names are in lower case, and a body that does not say that it is text is in base64.
    """
    method, _, template = route_key.partition(" ")
    path = template if filename is None else template.replace("{filename}", filename)
    given = {name.lower(): value for name, value in (headers or {}).items()}
    built: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": path,
        "rawQueryString": urlencode(query or {}),
        "headers": {
            "accept": "*/*",
            "host": "id.execute-api.us-east-1.amazonaws.com",
            "user-agent": "curl/8.5.0",
            "x-amzn-trace-id": "Root=1-6501f5b4-2f4b7d0a3f6c1e5d7a8b9c0d",
            "x-forwarded-for": "192.0.2.1",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
            **given,
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "id",
            "domainName": "id.execute-api.us-east-1.amazonaws.com",
            "domainPrefix": "id",
            "http": {
                "method": method,
                "path": path,
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
        built["queryStringParameters"] = dict(query)
    if filename is not None:
        built["pathParameters"] = {"filename": filename}
    if body is not None:
        is_text = given.get("content-type", "").startswith(_TEXT)
        built["body"] = body.decode() if is_text else base64.b64encode(body).decode()
        built["isBase64Encoded"] = not is_text
    return built
