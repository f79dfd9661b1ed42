"""Reading template.yaml: intrinsic functions, parameters, and the resources that the local service uses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dev.local import stack, template
from dev.local.emulator import platform_environment
from dev.local.errors import LocalError
from dev.local.template import Template

ROOT = Path(__file__).parents[2]
SOURCE = """
Parameters:
  Mode: {Type: String, Default: dev, AllowedValues: [dev, prod]}
  Count: {Type: Number, Default: 5, MinValue: 1, MaxValue: 9}
  TestRateLimit: {Type: Number, Default: 5, MinValue: 1}
  Names: {Type: CommaDelimitedList, Default: "a, b"}
Conditions:
  IsProd: !Equals [!Ref Mode, prod]
  IsDev: !Not [!Condition IsProd]
  Both: !And [!Condition IsProd, !Condition IsDev]
  Either: !Or [!Condition IsProd, !Condition IsDev]
Resources:
  Table: {Type: "AWS::DynamoDB::Table", Properties: {Name: !Sub "t-${Mode}"}}
  Hidden: {Type: "AWS::DynamoDB::Table", Condition: IsProd}
"""


@pytest.fixture
def source(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "template.yaml"
    path.write_text(SOURCE, encoding="utf-8")
    return template.load_template(path)


@pytest.mark.parametrize(
    ("value", "resolved"),
    [
        ({"Ref": "Mode"}, "dev"),
        ({"Ref": "Count"}, "5"),
        ({"Ref": "Names"}, ["a", "b"]),
        ({"Ref": "Table"}, "Table"),
        ({"Ref": "Table.Alias"}, "Table"),
        ({"Ref": "AWS::Region"}, "here"),
        ({"Fn::GetAtt": ["Table", "Arn"]}, "Table.Arn"),
        ({"Fn::Sub": "${Mode}/${Table.Arn}/${AWS::Region}/${!Literal}"}, "dev/Table.Arn/here/${Literal}"),
        ({"Fn::Sub": ["${x}-${Mode}", {"x": {"Ref": "Count"}}]}, "5-dev"),
        ({"Fn::If": ["IsProd", "yes", {"Ref": "Mode"}]}, "dev"),
        ({"Fn::If": ["Either", 1, 2]}, 1),
        ({"Fn::If": ["Both", 1, 2]}, 2),
        ({"Fn::Join": ["-", ["a", {"Ref": "Mode"}]]}, "a-dev"),
        ({"Fn::Select": [1, {"Fn::Split": [",", "x,y"]}]}, "y"),
        ({"a": {"Ref": "AWS::NoValue"}, "b": [{"Ref": "AWS::NoValue"}, 1]}, {"b": [1]}),
    ],
)
def test_resolve_intrinsic_functions(source: dict[str, Any], value: Any, resolved: Any) -> None:
    """Each supported intrinsic function has CloudFormation's result."""
    assert Template(source, {}, pseudo_parameters={"AWS::Region": "here"}).resolve(value) == resolved


def test_resources_with_false_condition_are_omitted(source: dict[str, Any]) -> None:
    """A resource whose condition is false is left out."""
    assert set(Template(source, {}).resources("AWS::DynamoDB::Table")) == {"Table"}
    assert set(Template(source, {"Mode": "prod"}).resources("AWS::DynamoDB::Table")) == {"Table", "Hidden"}


@pytest.mark.parametrize(
    "overrides",
    [
        {"Nope": "1"},
        {"Mode": "test"},
        *({"Count": value} for value in ("0", "10", "many", "", "1.5", "5.0", "5e0", "+5", "5_0", " 5", "nan", "٥")),
        *({"TestRateLimit": value} for value in ("0.5", "nan", "inf", "1e3", "1.")),
    ],
)
def test_overrides_invalid_rejected(source: dict[str, Any], overrides: dict[str, str]) -> None:
    """The error for an unknown parameter or a value that is not allowed names the parameter."""
    with pytest.raises(LocalError, match=next(iter(overrides))):
        Template(source, overrides)


def test_override_of_rate_limit_may_have_fraction(source: dict[str, Any]) -> None:
    """API Gateway takes fractions of requests per second."""
    assert Template(source, {"TestRateLimit": "1.5"}).resolve({"Ref": "TestRateLimit"}) == "1.5"


@pytest.mark.parametrize("value", [{"Ref": "Missing"}, {"Fn::ImportValue": "x"}, {"Fn::If": ["Nothing", 1, 2]}])
def test_resolve_unknown_value_raises(source: dict[str, Any], value: Any) -> None:
    """A reference to something unknown raises an error."""
    with pytest.raises(LocalError):
        Template(source, {}).resolve(value)


@pytest.mark.parametrize(
    ("text", "overrides"),
    [
        ("", {}),
        ("A=1 B=2", {"A": "1", "B": "2"}),
        ("A=rate(5 seconds) B=2", {"A": "rate(5 seconds)", "B": "2"}),
        ("A='rate(1 minute)'", {"A": "rate(1 minute)"}),
        ("A=x=y", {"A": "x=y"}),
        ("A=", {"A": ""}),
    ],
)
def test_parse_overrides_returns_mapping(text: str, overrides: dict[str, str]) -> None:
    """Values may be quoted; a word without `=` belongs to the value before it."""
    assert template.parse_overrides(text) == overrides


@pytest.mark.parametrize("text", ["Name", "A='x"])
def test_parse_overrides_invalid_raises(text: str) -> None:
    """A word without a name and an open quote raise an error."""
    with pytest.raises(LocalError):
        template.parse_overrides(text)


@pytest.mark.parametrize("text", ["a: [", "just text", "Parameters: {}"])
def test_load_template_invalid_raises(tmp_path: Path, text: str) -> None:
    """The error for a file that is no template names the file."""
    path = tmp_path / "broken.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LocalError, match=r"broken\.yaml"):
        template.load_template(path)


@pytest.fixture(scope="module")
def ferry_stack() -> stack.Stack:
    source = template.load_template(ROOT / "template.yaml")
    overrides = {"TokenTtlSeconds": "60", "CleanupSchedule": "rate(5 seconds)"}
    environment = {"FERRY_ENDPOINTS": "s3=http://127.0.0.1:1", "FERRY_MAX_LONG_POLLS": "7"}
    return stack.resolve_stack(source, ROOT, overrides, {"SigningKey": "key-1"}, environment)


def test_template_functions_are_resolved(ferry_stack: stack.Stack) -> None:
    """A function has its code before the layer's, and parameters and physical names in its environment."""
    auth = ferry_stack.functions["AuthFunction"]
    assert auth.code_folder == ROOT / "functions" / "auth"
    assert auth.import_paths == (auth.code_folder, ROOT / "layers" / "common")
    assert auth.handler == "app.lambda_handler"
    assert auth.environment["FERRY_TOKEN_TTL_SECONDS"] == "60"
    assert auth.environment["FERRY_SIGNING_KEY_ID"] == "key-1"
    assert auth.environment["FERRY_ENDPOINTS"] == "s3=http://127.0.0.1:1"
    assert auth.environment["FERRY_METADATA_TABLE"] == "ferry-metadatatable"
    assert auth.timeout_seconds > 0
    assert auth.memory_mb >= 128


def test_environment_overrides_declared_variables_only(ferry_stack: stack.Stack) -> None:
    """A function gets the variables that the template declares for it, and no other."""
    assert ferry_stack.functions["StatusFunction"].environment["FERRY_MAX_LONG_POLLS"] == "7"
    assert "FERRY_MAX_LONG_POLLS" not in ferry_stack.functions["AuthFunction"].environment


@pytest.mark.parametrize(("log_level", "expected"), [("DEBUG", "DEBUG"), ("INFO", "INFO"), ("ERROR", "INFO")])
def test_platform_environment_has_lambda_log_level(log_level: str, expected: str) -> None:
    """A function with JSON logs gets the level of Lambda's log controls, which Powertools prefers to its own."""
    source = template.load_template(ROOT / "template.yaml")
    function = stack.resolve_stack(source, ROOT, {"LogLevel": log_level}, {}, {}).functions["StatusFunction"]
    environment = platform_environment(function, {})
    assert (environment["AWS_LAMBDA_LOG_FORMAT"], environment["AWS_LAMBDA_LOG_LEVEL"]) == ("JSON", expected)
    assert "AWS_LAMBDA_LOG_LEVEL" not in platform_environment(replace(function, log_format="Text"), {})


def test_template_routes_match_events(ferry_stack: stack.Stack) -> None:
    """The routes are those of the functions' HttpApi events, each once."""
    routes = {route.key: route.function for route in ferry_stack.routes}
    assert routes["POST /auth/token"] == "AuthFunction"
    assert routes["DELETE /upload/{filename+}"] == "UploadFunction"
    assert routes["HEAD /download/{filename+}"] == "DownloadFunction"
    assert len(routes) == len(ferry_stack.routes)


def test_template_resources_are_read(ferry_stack: stack.Stack) -> None:
    """Schedule, CORS, tables, bucket and key have the template's properties."""
    (schedule,) = ferry_stack.schedules
    assert (schedule.function, schedule.expression) == ("CleanupFunction", "rate(5 seconds)")
    assert schedule.payload == '{"ferry": "sweep"}'
    assert ferry_stack.cors is not None
    assert "x-request-id" in ferry_stack.cors.expose_headers
    assert ferry_stack.tables["MetadataTable"]["GlobalSecondaryIndexes"][0]["IndexName"] == "due_tasks"
    assert ferry_stack.buckets["Bucket"]["CorsConfiguration"]["CorsRules"]
    assert ferry_stack.kms_keys["SigningKey"]["KeySpec"] == "ECC_NIST_P256"
