"""The endpoint of chunks: a function URL, off by default, bounded, and without circles."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dev.local.stack import resolve_stack
from dev.local.template import Template, load_template
from dev.paths import ROOT
from dev.template.sam_transform import package_template, resources_of_type, transform_template
from dev.testing.template import TEMPLATE

REGIONS_WITHOUT_FUNCTION_URLS = {
    *("ap-east-2", "ap-south-2", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6", "ap-southeast-7"),
    *("ca-west-1", "eu-central-2", "eu-south-2", "il-central-1", "me-central-1"),
}


@pytest.fixture(scope="module")
def translation() -> dict[str, Any]:
    return transform_template(package_template())


def chunk_functions(endpoint: str, region: str = "eu-west-1") -> list[str]:
    """Return the functions with a URL that a stack in a region has."""
    template = Template(load_template(TEMPLATE), {"ChunkEndpoint": endpoint}, pseudo_parameters={"AWS::Region": region})
    functions = template.resources("AWS::Serverless::Function")
    return [name for name, body in functions.items() if "FunctionUrlConfig" in body["Properties"]]


def test_function_url_is_off_by_default(template: Any) -> None:
    """A stack has the URL only if the parameter asks for it."""
    assert template["Parameters"]["ChunkEndpoint"]["Default"] == "Api"
    assert (chunk_functions("Api"), chunk_functions("FunctionUrl")) == ([], ["ChunkFunction"])


def test_regions_without_function_urls_get_none() -> None:
    """Where Lambda has no function URLs, the parameter changes nothing."""
    regions = {*REGIONS_WITHOUT_FUNCTION_URLS, "us-east-1", "eu-central-1", "ap-southeast-3", "me-south-1"}
    assert {region for region in regions if not chunk_functions("FunctionUrl", region)} == REGIONS_WITHOUT_FUNCTION_URLS


def test_function_url_demands_reserved_concurrency(template: Any, translation: dict[str, Any]) -> None:
    """A Rule rejects the URL without reserved concurrency, which is its only limit."""
    rule = template["Rules"]["ChunkEndpointBounded"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "ChunkEndpoint"}, "FunctionUrl"]}
    [assertion] = rule["Assertions"]
    assert assertion["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "ChunkConcurrency"}, "0"]}]}
    assert template["Parameters"]["ChunkConcurrency"]["Default"] == 0
    properties = translation["Resources"]["ChunkFunction"]["Properties"]
    assert properties["ReservedConcurrentExecutions"] == {"Ref": "ChunkConcurrency"}


def test_function_url_is_public_by_both_permissions(translation: dict[str, Any]) -> None:
    """Callers need both permissions on the alias; the function checks the token itself."""
    url = translation["Resources"]["ChunkFunctionUrl"]["Properties"]
    assert (url["AuthType"], url["InvokeMode"]) == ("NONE", "BUFFERED")
    permissions = [
        {name: value for name, value in body["Properties"].items() if name not in ("FunctionName", "Principal")}
        for body in resources_of_type(translation, "AWS::Lambda::Permission").values()
        if body["Properties"]["FunctionName"] == url["TargetFunctionArn"] and body["Properties"]["Principal"] == "*"
    ]
    assert permissions == [
        {"Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "NONE"},
        {"Action": "lambda:InvokeFunction", "InvokedViaFunctionUrl": True},
    ]
    conditions = {body.get("Condition") for name, body in translation["Resources"].items() if "ChunkFunction" in name}
    assert conditions == {"HasChunkEndpoint"}


def test_function_url_allows_every_origin_without_credentials(translation: dict[str, Any]) -> None:
    """Pages of every origin may send chunks: the token is the authority. Lambda lets OPTIONS be no method here."""
    cors = translation["Resources"]["ChunkFunctionUrl"]["Properties"]["Cors"]
    assert (cors["AllowOrigins"], cors["AllowMethods"]) == (["*"], ["POST"])
    assert {"authorization", "content-type", "content-digest"} <= set(cors["AllowHeaders"])
    assert {"retry-after", "x-amzn-remapped-www-authenticate"} <= set(cors["ExposeHeaders"])
    assert "AllowCredentials" not in cors


def test_chunk_function_names_neither_api_nor_itself(template: Any, functions: dict[str, Any]) -> None:
    """Nothing that the function refers to leads back to it, and the plans of others name its URL."""
    text = json.dumps(template["Resources"]["ChunkFunction"])
    assert '{"Ref": "Api"}' not in text
    assert "ChunkFunction" not in text
    endpoint = {"Fn::If": ["HasChunkEndpoint", {"Fn::GetAtt": ["ChunkFunctionUrl", "FunctionUrl"]}, ""]}
    named = {
        name
        for name, properties in functions.items()
        if properties.get("Environment", {}).get("Variables", {}).get("FERRY_CHUNK_ENDPOINT") == endpoint
    }
    assert named == {"UploadFunction", "WebFunction", "LinksFunction"}


def test_local_service_reads_function_url() -> None:
    """The local service finds the URL and its CORS rules."""
    stack = resolve_stack(load_template(TEMPLATE), ROOT, {"ChunkEndpoint": "FunctionUrl", "ChunkConcurrency": "5"})
    [url] = stack.function_urls
    assert (url.function, url.cors and url.cors.origins) == ("ChunkFunction", ("*",))
    assert resolve_stack(load_template(TEMPLATE), ROOT, {}).function_urls == ()
