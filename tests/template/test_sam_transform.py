"""What SAM's own translator makes of the template: versions, aliases, permissions, what only parameters bring."""

from __future__ import annotations

from typing import Any

import pytest

from dev.template.sam_transform import package_template, resources_of_type, transform_template

ALIAS = "live"
FUNCTIONS = {"AuthFunction", "UploadFunction", "DownloadFunction", "StatusFunction", "CleanupFunction"}


@pytest.fixture(scope="module")
def translation() -> dict[str, Any]:
    return transform_template(package_template())


def versions(translation: dict[str, Any]) -> set[str]:
    return set(resources_of_type(translation, "AWS::Lambda::Version"))


def test_layer_change_publishes_all_functions() -> None:
    """Other bytes in the layer, nothing else: five new versions, and each alias points to its new one."""
    before, after = (transform_template(package_template({"CommonLayer": digest})) for digest in ("1", "2"))
    assert len(versions(before)) == len(versions(after)) == len(FUNCTIONS)
    assert versions(before).isdisjoint(versions(after))
    for alias in resources_of_type(after, "AWS::Lambda::Alias").values():
        (version, _) = alias["Properties"]["FunctionVersion"]["Fn::GetAtt"]
        assert version in versions(after)


def test_function_change_publishes_only_that_function() -> None:
    """The four others keep the version that they have, and so do the copies that run."""
    before, after = (
        transform_template(package_template()),
        transform_template(package_template({"StatusFunction": "2"})),
    )
    new = versions(after) - versions(before)
    assert [resources_of_type(after, "AWS::Lambda::Version")[name]["Properties"]["FunctionName"] for name in new] == [
        {"Ref": "StatusFunction"}
    ]


def test_unchanged_files_publish_nothing() -> None:
    """Deploying what is deployed already changes nothing."""
    assert transform_template(package_template()) == transform_template(package_template())


def test_callers_use_the_alias(translation: dict[str, Any]) -> None:
    """The gateway, the schedule, and those who hand work on; retries and the queue are the alias's too."""
    aliases = resources_of_type(translation, "AWS::Lambda::Alias")
    assert set(aliases) == {f"{name}Alias{ALIAS}" for name in FUNCTIONS}
    paths = translation["Resources"]["Api"]["Properties"]["Body"]["paths"]
    targets = {
        operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
        for path in paths.values()
        for method, operation in path.items()
        if method != "options"
    }
    assert {target.rpartition("${")[2] for target in targets} == {f"{name}}}/invocations" for name in aliases}
    (schedule,) = resources_of_type(translation, "AWS::Scheduler::Schedule").values()
    assert schedule["Properties"]["Target"]["Arn"] == {"Ref": f"CleanupFunctionAlias{ALIAS}"}
    (config,) = resources_of_type(translation, "AWS::Lambda::EventInvokeConfig").values()
    assert config["Properties"]["Qualifier"] == ALIAS
    (granted,) = (
        statement["Resource"]
        for policy in translation["Resources"]["UploadFunctionRole"]["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Action"] == "lambda:InvokeFunction"
    )
    assert granted == {"Ref": f"CleanupFunctionAlias{ALIAS}"}
    for permission in resources_of_type(translation, "AWS::Lambda::Permission").values():
        assert permission["Properties"]["FunctionName"]["Ref"] in aliases


def test_snapstart_follows_parameter() -> None:
    """SnapStart reaches every function, and none by default, for every version it keeps is billed."""
    for parameters, wanted in (({}, "None"), ({"SnapStart": "PublishedVersions"}, "PublishedVersions")):
        found = transform_template(package_template(), parameters)
        for function in resources_of_type(found, "AWS::Lambda::Function").values():
            assert function["Properties"]["SnapStart"] == {"ApplyOn": {"Ref": "SnapStart"}}
        assert (parameters.get("SnapStart") or found["Parameters"]["SnapStart"]["Default"]) == wanted


@pytest.mark.parametrize(("mode", "traced"), [("Disabled", False), ("Active", True), ("PassThrough", True)])
def test_tracing_follows_parameter(mode: str, traced: bool) -> None:
    """Off: neither the setting nor the permission. On: both, in every function."""
    found = transform_template(package_template(), {"Tracing": mode})
    for function in resources_of_type(found, "AWS::Lambda::Function").values():
        assert ("TracingConfig" in function["Properties"]) == traced
    for name in FUNCTIONS:
        policies = found["Resources"][f"{name}Role"]["Properties"]["ManagedPolicyArns"]
        assert any("Xray" in str(policy) for policy in policies) == traced


def test_log_groups_have_retention(translation: dict[str, Any]) -> None:
    """Every function writes to a group that the stack makes, so Lambda makes none, which nobody would ever empty."""
    groups = resources_of_type(translation, "AWS::Logs::LogGroup")
    assert all(group["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"} for group in groups.values())
    for function in resources_of_type(translation, "AWS::Lambda::Function").values():
        assert function["Properties"]["LoggingConfig"]["LogGroup"]["Ref"] in groups
    (stage,) = resources_of_type(translation, "AWS::ApiGatewayV2::Stage").values()
    assert stage["Properties"]["AccessLogSettings"]["DestinationArn"]["Fn::GetAtt"][0] in groups


def test_access_log_has_no_file_names(translation: dict[str, Any]) -> None:
    """A path or a query would tell; the route and the request's id lead to all that may be told."""
    (stage,) = resources_of_type(translation, "AWS::ApiGatewayV2::Stage").values()
    logged = stage["Properties"]["AccessLogSettings"]["Format"]
    assert "$context.requestId" in logged
    assert "$context.routeKey" in logged
    assert "$context.path" not in logged
    assert "\n" not in logged.strip(), "a log line is one line"


def test_domain_resources_are_conditional(translation: dict[str, Any]) -> None:
    """Without the parameter there is neither domain nor record; the record only where the zone is Route 53's."""
    conditions = {name: body.get("Condition") for name, body in translation["Resources"].items()}
    assert (conditions["Domain"], conditions["DomainMapping"], conditions["DomainRecord"]) == (
        *("HasDomain", "HasDomain"),
        "HasZone",
    )
    mapping = translation["Resources"]["DomainMapping"]["Properties"]
    assert mapping["Stage"]["Ref"] in resources_of_type(translation, "AWS::ApiGatewayV2::Stage")
