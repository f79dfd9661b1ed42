"""Pass calls of DynamoDB from botocore to moto directly, without an HTTP request between them.

botocore signs a request and moto finds the service, the Region and the account by patterns of its URL and its headers.
This takes more than half of the time of a call. Here botocore serializes a call and parses the response as always, and
moto gets the body and the name of the operation. Clients of other services and of other endpoints keep the long way.
"""

from __future__ import annotations

from functools import cache
from typing import Any, cast
from uuid import uuid4

import pytest

AWS_HOST = ".amazonaws.com"
REGION = "us-east-1"


def apply_direct_calls(patch: pytest.MonkeyPatch) -> None:
    """Replace the requests of botocore to moto's DynamoDB, and what moto and botocore compute anew for each call."""
    from botocore.endpoint import Endpoint
    from botocore.useragent import UserAgentString
    from moto.core import responses
    from moto.core.utils import method_names_from_class

    patch.setattr(Endpoint, "make_request", _with_direct_call(Endpoint.make_request))
    patch.setattr(UserAgentString, "to_string", lambda agent: "tests")
    patch.setattr(responses, "method_names_from_class", cache(method_names_from_class))
    patch.setattr(responses, "gen_amzn_requestid_long", _add_request_id)


def _add_request_id(headers: dict[str, Any]) -> str:
    headers["x-amzn-requestid"] = request_id = uuid4().hex
    return request_id


def _with_direct_call(make_request: Any) -> Any:
    from botocore.awsrequest import AWSResponse
    from moto.core.botocore_stubber import MockRawResponse
    from moto.core.models import botocore_stubber

    def make_direct_request(endpoint: Any, operation_model: Any, request: dict[str, Any]) -> Any:
        is_moto = botocore_stubber.enabled and f"{REGION}{AWS_HOST}" in endpoint.host
        if not is_moto or operation_model.service_model.service_name != "dynamodb":
            return make_request(endpoint, operation_model, request)
        status, headers, body = _call_moto(operation_model.name, request)
        response = AWSResponse(request["url"], status, cast(Any, headers), MockRawResponse(body))
        return response, _parse(endpoint, operation_model, response)

    return make_direct_request


def _call_moto(operation: str, request: dict[str, Any]) -> tuple[int, dict[str, Any], Any]:
    """Return status, headers and body of the response to a request that botocore has serialized."""
    from moto.core.models import DEFAULT_ACCOUNT_ID
    from moto.core.parse import PROTOCOL_PARSERS
    from moto.core.utils import get_service_model, utcnow
    from moto.dynamodb.responses import DynamoHandler
    from werkzeug.http import http_date

    handler = DynamoHandler()
    handler.headers, handler.querystring = request["headers"], {}
    handler.response_headers = {"date": http_date(utcnow())}
    handler.current_account, handler.region = DEFAULT_ACCOUNT_ID, REGION
    model = get_service_model("dynamodb").operation_model(operation)
    parser = PROTOCOL_PARSERS["json"](model, map_type=handler.PROTOCOL_PARSER_MAP_TYPE)
    handler.params = parser.parse(cast(Any, {"body": request["body"]}))
    status, headers, body = handler.call_action()
    return int(status), headers, body


def _parse(endpoint: Any, operation_model: Any, response: Any) -> dict[str, Any]:
    """Return the response as botocore parses it."""
    from botocore.endpoint import convert_to_response_dict

    content = convert_to_response_dict(response, operation_model)
    parser = endpoint._response_parser_factory.create_parser(operation_model.service_model.resolved_protocol)
    parsed: dict[str, Any] = parser.parse(content, operation_model.output_shape)
    if response.status_code >= 300:
        endpoint._add_modeled_error_fields(content, parsed, operation_model, parser)
    parsed["ResponseMetadata"]["RetryAttempts"] = 0
    return parsed
