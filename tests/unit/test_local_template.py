"""Reading template.yaml: intrinsic functions, parameters, and what the local runner takes from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local import stack, template
from local.errors import LocalError
from local.template import Template

ROOT = Path(__file__).parents[2]
SOURCE = """
Parameters:
  Mode: {Type: String, Default: dev, AllowedValues: [dev, prod]}
  Count: {Type: Number, Default: 5, MinValue: 1, MaxValue: 9}
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
    return template.load(path)


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
def test_resolve(source: dict[str, Any], value: Any, resolved: Any) -> None:
    """Every intrinsic function that is known gives what CloudFormation's would."""
    assert Template(source, {}, pseudo={"AWS::Region": "here"}).resolve(value) == resolved


def test_conditions_hide_resources(source: dict[str, Any]) -> None:
    """A resource whose condition does not hold is not there."""
    assert set(Template(source, {}).resources("AWS::DynamoDB::Table")) == {"Table"}
    assert set(Template(source, {"Mode": "prod"}).resources("AWS::DynamoDB::Table")) == {"Table", "Hidden"}


@pytest.mark.parametrize(
    "overrides", [{"Nope": "1"}, {"Mode": "test"}, {"Count": "0"}, {"Count": "10"}, {"Count": "many"}]
)
def test_overrides_are_checked(source: dict[str, Any], overrides: dict[str, str]) -> None:
    """An override that the template does not know or allow is refused, by name."""
    with pytest.raises(LocalError, match=next(iter(overrides))):
        Template(source, overrides)


@pytest.mark.parametrize("value", [{"Ref": "Nobody"}, {"Fn::ImportValue": "x"}, {"Fn::If": ["Nothing", 1, 2]}])
def test_unknown_values_are_refused(source: dict[str, Any], value: Any) -> None:
    """What cannot be resolved is said, not guessed."""
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
def test_overrides_are_parsed(text: str, overrides: dict[str, str]) -> None:
    """PARAMS takes quoted values, and words after a value that belong to it."""
    assert template.parse_overrides(text) == overrides


@pytest.mark.parametrize("text", ["Name", "A='x"])
def test_overrides_that_are_none(text: str) -> None:
    """A word without a name, or a quote left open, is refused."""
    with pytest.raises(LocalError):
        template.parse_overrides(text)


@pytest.mark.parametrize("text", ["a: [", "just text", "Parameters: {}"])
def test_no_template(tmp_path: Path, text: str) -> None:
    """What is no template is refused with the file's name."""
    path = tmp_path / "broken.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LocalError, match=r"broken\.yaml"):
        template.load(path)


@pytest.fixture(scope="module")
def ferry() -> stack.Stack:
    source = template.load(ROOT / "template.yaml")
    overrides = {"TokenLifetime": "60", "Endpoints": "s3=http://127.0.0.1:1", "CleanupSchedule": "rate(5 seconds)"}
    return stack.read(source, ROOT, overrides, {"SigningKey": "key-1"})


def test_functions_of_the_template(ferry: stack.Stack) -> None:
    """Each function has its code, the layer after it, and the environment with parameters and physical names in it."""
    auth = ferry.functions["AuthFunction"]
    assert auth.code == ROOT / "functions" / "auth"
    assert auth.paths == (auth.code, ROOT / "layers" / "common")
    assert auth.handler == "app.lambda_handler"
    assert auth.environment["FERRY_TOKEN_LIFETIME"] == "60"
    assert auth.environment["FERRY_SIGNING_KEY"] == "key-1"
    assert auth.environment["FERRY_ENDPOINTS"] == "s3=http://127.0.0.1:1"
    assert auth.environment["FERRY_LEDGER_TABLE"] == "ferry-ledgertable"
    assert auth.timeout > 0
    assert auth.memory >= 128


def test_routes_of_the_template(ferry: stack.Stack) -> None:
    """The routes are those of the functions' HttpApi events."""
    routes = {route.key: route.function for route in ferry.routes}
    assert routes["POST /auth/token"] == "AuthFunction"
    assert routes["DELETE /upload/{filename}"] == "UploadFunction"
    assert routes["HEAD /download/{filename}"] == "DownloadFunction"
    assert len(routes) == len(ferry.routes)


def test_the_rest_of_the_template(ferry: stack.Stack) -> None:
    """Schedule, CORS, tables, bucket and key are read, not written twice."""
    (schedule,) = ferry.schedules
    assert (schedule.function, schedule.expression) == ("CleanupFunction", "rate(5 seconds)")
    assert schedule.payload == '{"ferry": "sweep"}'
    assert ferry.cors is not None
    assert "x-request-id" in ferry.cors.expose_headers
    assert ferry.tables["LedgerTable"]["GlobalSecondaryIndexes"][0]["IndexName"] == "due"
    assert ferry.buckets["Bucket"]["CorsConfiguration"]["CorsRules"]
    assert ferry.keys["SigningKey"]["KeySpec"] == "ECC_NIST_P256"
