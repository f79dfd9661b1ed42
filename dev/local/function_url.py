"""A function URL: one function behind an address of its own, without routes, as Lambda serves it."""

from __future__ import annotations

from dataclasses import replace

from dev.local import apigw_event, cors
from dev.local.gateway import Gateway, InvokeFunction, OnResponse, StorageIsLow
from dev.local.lambda_response import GatewayResponse
from dev.local.routing import Route
from dev.local.stack import FunctionUrl

REMAPPED_HEADERS = {"www-authenticate": "x-amzn-remapped-www-authenticate"}
"""Header fields that Lambda renames in the responses of function URLs."""


class FunctionUrlGateway(Gateway):
    """Passes every path and method on to one function, in events with the route key `$default`.

    This class responds to preflight requests: Lambda does not invoke the function for them.

    Args:
        url: the function and its CORS configuration.
        invoke: invokes the function.
        on_response: called after each response; None for no request log.
        storage_is_low: returns whether to reject requests that store data; None to accept all.
    """

    def __init__(
        self,
        url: FunctionUrl,
        invoke: InvokeFunction,
        *,
        on_response: OnResponse | None = None,
        storage_is_low: StorageIsLow | None = None,
    ) -> None:
        routes = [Route("ANY", "$default", url.function)]
        super().__init__(routes, url.cors, invoke, on_response=on_response, storage_is_low=storage_is_low)
        self._url = url

    async def handle_request(
        self, request: apigw_event.GatewayRequest, request_id: str, *, body_too_large: bool = False
    ) -> GatewayResponse:
        preflight = cors.preflight_response(self._url.cors, request)
        if preflight is not None:
            return preflight
        response = await super().handle_request(request, request_id, body_too_large=body_too_large)
        headers = tuple((REMAPPED_HEADERS.get(name, name), value) for name, value in response.headers)
        return replace(response, headers=headers)
