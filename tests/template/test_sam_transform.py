"""The CloudFormation template that SAM's translator produces: versions, aliases, permissions, conditional resources."""

from __future__ import annotations

import json
import re
import tomllib
from functools import cache
from graphlib import TopologicalSorter
from typing import Any

import pytest
from samcli.yamlhelper import yaml_parse

from dev.paths import ROOT
from dev.template.sam_transform import package_template, resources_of_type, transform_template

ALIAS = "live"
FUNCTIONS = {
    "AuthFunction",
    "UploadFunction",
    "ChunkFunction",
    "FilesFunction",
    "ResumableFunction",
    "DownloadFunction",
    "LinksFunction",
    "StatusFunction",
    "WebFunction",
    "CleanupFunction",
}


@cache
def transform_with(**parameters: str) -> dict[str, Any]:
    """Return the template, transformed with these parameters, for all tests: a transform takes half a second."""
    return transform_template(package_template(), parameters)


@pytest.fixture(scope="module")
def translation() -> dict[str, Any]:
    return transform_with()


SCOPED_NAMES = {("AWS::Lambda::Alias", "Name"): ALIAS, ("AWS::ApiGatewayV2::Stage", "StageName"): "$default"}
"""Fixed names that are unique within their function or API, by resource type and property."""


def fixed_names(resources: dict[str, Any]) -> dict[str, str]:
    """Return the names that are the same in every stack, by logical id and property."""
    return {
        f"{logical_id}.{key}": value
        for logical_id, body in resources.items()
        for key, value in body.get("Properties", {}).items()
        if key.endswith("Name") and key != "MetricName" and isinstance(value, str)
        if SCOPED_NAMES.get((body["Type"], key)) != value
    }


def versions(translation: dict[str, Any]) -> set[str]:
    """Return the logical ids of the functions' versions."""
    return set(resources_of_type(translation, "AWS::Lambda::Version"))


def test_layer_change_publishes_all_functions() -> None:
    """A changed layer publishes a new version of every function, and each alias points to it."""
    before, after = (transform_template(package_template({"CommonLayer": digest})) for digest in ("1", "2"))
    assert len(versions(before)) == len(versions(after)) == len(FUNCTIONS)
    assert versions(before).isdisjoint(versions(after))
    aliases = resources_of_type(after, "AWS::Lambda::Alias")
    assert len(aliases) == len(FUNCTIONS)
    for alias in aliases.values():
        (version, _) = alias["Properties"]["FunctionVersion"]["Fn::GetAtt"]
        assert version in versions(after)


def test_function_change_publishes_only_that_function() -> None:
    """A changed function publishes a version of its own; the others keep theirs, and their warm instances."""
    before, after = (
        transform_with(),
        transform_template(package_template({"StatusFunction": "2"})),
    )
    new = versions(after) - versions(before)
    assert [resources_of_type(after, "AWS::Lambda::Version")[name]["Properties"]["FunctionName"] for name in new] == [
        {"Ref": "StatusFunction"}
    ]


def test_unchanged_files_publish_nothing() -> None:
    """Deploying the same files again changes nothing."""
    assert transform_template(package_template()) == transform_with()


def test_callers_use_the_alias(translation: dict[str, Any]) -> None:
    """API Gateway, the schedule and asynchronous invocations use the alias, with its retries and dead letter queue."""
    aliases = resources_of_type(translation, "AWS::Lambda::Alias")
    assert set(aliases) == {f"{name}Alias{ALIAS}" for name in FUNCTIONS}
    paths = translation["Resources"]["Api"]["Properties"]["Body"]["paths"]
    targets = {
        operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
        for path in paths.values()
        for method, operation in path.items()
        if method != "options"
    }
    behind_api = {f"{name}Alias{ALIAS}" for name in FUNCTIONS - {"ChunkFunction"}}
    assert {target.rpartition("${")[2] for target in targets} == {f"{name}}}/invocations" for name in behind_api}
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
    permissions = resources_of_type(translation, "AWS::Lambda::Permission")
    assert permissions
    for permission in permissions.values():
        assert permission["Properties"]["FunctionName"]["Ref"] in aliases


def test_two_stacks_share_no_names(translation: dict[str, Any]) -> None:
    """No resource has a fixed name: a second stack in the same account and region would fail to deploy."""
    monitoring = yaml_parse((ROOT / "monitoring.yaml").read_text(encoding="utf-8"))
    assert len(translation["Resources"]) > 40
    assert fixed_names(translation["Resources"] | monitoring["Resources"]) == {}
    (schedule,) = resources_of_type(translation, "AWS::Scheduler::Schedule").values()
    assert not {"Name", "GroupName"} & schedule["Properties"].keys()


def test_documented_template_size_is_right(translation: dict[str, Any]) -> None:
    """docs/limits.md states the number of resources, and the size of the template in KB within 2 of it."""
    document = (ROOT / "docs/limits.md").read_text(encoding="utf-8")
    figures = re.search(r"not reached: (\d+) resources, (\d+) KB after the SAM transform", document)
    assert figures is not None
    assert int(figures[1]) == len(translation["Resources"])
    assert abs(int(figures[2]) - len(json.dumps(translation)) / 1000) < 2


def test_fixed_names_reports_literal_name() -> None:
    """A literal name is reported; a reference, and a name that is scoped to its function, are not."""
    resources = {
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "jobs"}},
        "Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": {"Ref": "AWS::StackName"}}},
        "Alias": {"Type": "AWS::Lambda::Alias", "Properties": {"Name": ALIAS}},
    }
    assert fixed_names(resources) == {"Queue.QueueName": "jobs"}


@pytest.mark.parametrize("canary", ["false", "true"])
def test_permissions_boundary_reaches_every_role(canary: str) -> None:
    """Every role has the boundary of the parameter, if one is given: those of functions, schedule and CodeDeploy."""
    translation = transform_with(EnableCanaryDeployments=canary)
    roles = resources_of_type(translation, "AWS::IAM::Role")
    assert roles.keys() == {*(f"{name}Role" for name in FUNCTIONS), "CleanupFunctionScheduleRole", "DeploymentRole"}
    boundary = {"Fn::If": ["HasPermissionsBoundary", {"Ref": "PermissionsBoundary"}, {"Ref": "AWS::NoValue"}]}
    for name, role in roles.items():
        assert role["Properties"].get("PermissionsBoundary") == boundary, name
    assert translation["Conditions"]["HasPermissionsBoundary"] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": "PermissionsBoundary"}, ""]}]
    }
    assert translation["Parameters"]["PermissionsBoundary"]["Default"] == ""


def test_canary_deployments_are_off_by_default(translation: dict[str, Any]) -> None:
    """Without the parameter an update moves the aliases at once, and nothing of CodeDeploy is created."""
    assert translation["Parameters"]["EnableCanaryDeployments"]["Default"] == "false"
    assert not [name for name, body in translation["Resources"].items() if "CodeDeploy" in body["Type"]]
    assert translation["Resources"]["DeploymentRole"]["Condition"] == "CanaryDeployments"
    for alias in resources_of_type(translation, "AWS::Lambda::Alias").values():
        assert "UpdatePolicy" not in alias


def test_canary_deployments_watch_alarms() -> None:
    """With the parameter, each function gets a tenth of its requests first, and alarms that exist undo the update."""
    found = transform_with(EnableCanaryDeployments="true")
    groups = resources_of_type(found, "AWS::CodeDeploy::DeploymentGroup")
    assert groups.keys() == {f"{name}DeploymentGroup" for name in FUNCTIONS}
    monitoring = yaml_parse((ROOT / "monitoring.yaml").read_text(encoding="utf-8"))
    alarms = {
        body["Properties"]["AlarmName"]["Fn::Sub"].replace("${Service}", "${AWS::StackName}")
        for body in monitoring["Resources"].values()
        if body["Type"] == "AWS::CloudWatch::Alarm"
    }
    for group in groups.values():
        properties = group["Properties"]
        role = {"Fn::GetAtt": ["DeploymentRole", "Arn"]}
        assert properties["ServiceRoleArn"] == {"Fn::If": ["CanaryDeployments", role, {"Ref": "AWS::NoValue"}]}
        assert "Canary10Percent10Minutes" in json.dumps(properties["DeploymentConfigName"])
        watched = {alarm["Name"]["Fn::Sub"] for alarm in properties["AlarmConfiguration"]["Alarms"]}
        assert watched == {"${AWS::StackName}-function-errors", "${AWS::StackName}-server-errors"}
        assert watched <= alarms
        assert "DEPLOYMENT_STOP_ON_ALARM" in properties["AutoRollbackConfiguration"]["Events"]
    for alias in resources_of_type(found, "AWS::Lambda::Alias").values():
        assert "CodeDeployLambdaAliasUpdate" in alias["UpdatePolicy"]


def referenced(body: object) -> set[str]:
    """Return the names that a part of a template refers to."""
    names: set[str] = set()
    if isinstance(body, list):
        names = names.union(*map(referenced, body))
    elif isinstance(body, dict):
        for key, value in body.items():
            match key, value:
                case ("Ref", str()):
                    names.add(value)
                case ("Fn::GetAtt", [name, *_]):
                    names.add(name)
                case ("Fn::Sub", str()) | ("Fn::Sub", [str(), _]):
                    text = value if isinstance(value, str) else value[0]
                    names.update(name.partition(".")[0] for name in re.findall(r"\$\{([^!}]+)\}", text))
                    names |= referenced(value)
                case ("DependsOn", str() | list()):
                    names.update([value] if isinstance(value, str) else value)
                case _:
                    names |= referenced(value)
    return names


@pytest.mark.parametrize("canary", ["false", "true"])
def test_resources_have_no_circular_dependency(canary: str) -> None:
    """CloudFormation can order the resources. It would reject a circle, such as API, alias, alarms, API."""
    resources = transform_with(EnableCanaryDeployments=canary)["Resources"]
    graph = {name: referenced(body) & resources.keys() for name, body in resources.items()}
    assert sum(map(len, graph.values())) > len(graph)
    TopologicalSorter(graph).prepare()


def test_assigned_endpoint_is_disabled_beside_domain(translation: dict[str, Any]) -> None:
    """With a custom domain, the API does not answer at the address that API Gateway assigns."""
    (server,) = translation["Resources"]["Api"]["Properties"]["Body"]["servers"]
    assert server == {
        "x-amazon-apigateway-endpoint-configuration": {
            "disableExecuteApiEndpoint": {"Fn::If": ["HasDomain", True, False]}
        }
    }


def test_snapstart_follows_parameter() -> None:
    """The parameter sets SnapStart of every function; the default is None, because each version is billed."""
    for parameters, expected in (({}, "None"), ({"SnapStart": "PublishedVersions"}, "PublishedVersions")):
        found = transform_with(**parameters)
        functions = resources_of_type(found, "AWS::Lambda::Function")
        assert len(functions) == len(FUNCTIONS)
        for function in functions.values():
            assert function["Properties"]["SnapStart"] == {"ApplyOn": {"Ref": "SnapStart"}}
        assert (parameters.get("SnapStart") or found["Parameters"]["SnapStart"]["Default"]) == expected


@pytest.mark.parametrize(("mode", "traced"), [("Disabled", False), ("Active", True), ("PassThrough", True)])
def test_tracing_follows_parameter(mode: str, traced: bool) -> None:
    """Every function has setting and permission for tracing if it is enabled, and neither if not."""
    found = transform_with(Tracing=mode)
    functions = resources_of_type(found, "AWS::Lambda::Function")
    assert len(functions) == len(FUNCTIONS)
    for function in functions.values():
        assert ("TracingConfig" in function["Properties"]) == traced
    for name in FUNCTIONS:
        policies = found["Resources"][f"{name}Role"]["Properties"]["ManagedPolicyArns"]
        assert any("Xray" in str(policy) for policy in policies) == traced


def test_tracing_is_off_unless_asked_for(translation: dict[str, Any]) -> None:
    """Neither the template nor a stage of samconfig.toml switches tracing on (docs/decisions/0012)."""
    assert translation["Parameters"]["Tracing"]["Default"] == "Disabled"
    stages = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
    assert stages["prod"]["deploy"]["parameters"]["parameter_overrides"]
    assert "Tracing" not in json.dumps(stages)
    assert (ROOT / "docs/decisions/0012-tracing.md").is_file()


def test_access_log_group_needs_no_policy_of_its_own(translation: dict[str, Any]) -> None:
    """The group's name begins with /aws/vendedlogs/, which one resource policy covers for all groups of the region.

    With other names API Gateway adds each group to a policy of 5,120 characters for the account and region.
    """
    (stage,) = resources_of_type(translation, "AWS::ApiGatewayV2::Stage").values()
    group = translation["Resources"][stage["Properties"]["AccessLogSettings"]["DestinationArn"]["Fn::GetAtt"][0]]
    assert group["Properties"]["LogGroupName"] == {"Fn::Sub": "/aws/vendedlogs/apigateway/${AWS::StackName}"}


def test_log_groups_have_retention(translation: dict[str, Any]) -> None:
    """All logs go to groups of the stack with a retention. Groups that Lambda creates would never expire."""
    groups = resources_of_type(translation, "AWS::Logs::LogGroup")
    functions = resources_of_type(translation, "AWS::Lambda::Function")
    assert groups
    assert len(functions) == len(FUNCTIONS)
    assert all(group["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"} for group in groups.values())
    for function in functions.values():
        assert function["Properties"]["LoggingConfig"]["LogGroup"]["Ref"] in groups
    (stage,) = resources_of_type(translation, "AWS::ApiGatewayV2::Stage").values()
    assert stage["Properties"]["AccessLogSettings"]["DestinationArn"]["Fn::GetAtt"][0] in groups


def test_lambda_log_level_keeps_metrics(translation: dict[str, Any]) -> None:
    """Lambda filters at DEBUG or INFO, whatever LogLevel is: lines without a level, such as metrics, count as INFO."""
    functions = resources_of_type(translation, "AWS::Lambda::Function")
    assert len(functions) == len(FUNCTIONS)
    for function in functions.values():
        config = function["Properties"]["LoggingConfig"]
        assert (config["LogFormat"], config["ApplicationLogLevel"]) == (
            "JSON",
            {"Fn::If": ["LogsDebug", "DEBUG", "INFO"]},
        )
        assert function["Properties"]["Environment"]["Variables"]["POWERTOOLS_LOG_LEVEL"] == {"Ref": "LogLevel"}
    assert translation["Conditions"]["LogsDebug"] == {"Fn::Equals": [{"Ref": "LogLevel"}, "DEBUG"]}


def test_lambda_logs_its_own_lines_of_failures_alone(translation: dict[str, Any]) -> None:
    """Lambda's start and report lines of calls that succeed are logged with LogLevel=DEBUG only."""
    functions = resources_of_type(translation, "AWS::Lambda::Function")
    assert len(functions) == len(FUNCTIONS)
    for function in functions.values():
        assert function["Properties"]["LoggingConfig"]["SystemLogLevel"] == {"Fn::If": ["LogsDebug", "INFO", "WARN"]}


def test_access_log_has_status_of_function(translation: dict[str, Any]) -> None:
    """The access log has the status that the function returned; `integrationStatus` is Lambda's own, always 200."""
    (stage,) = resources_of_type(translation, "AWS::ApiGatewayV2::Stage").values()
    logged = json.loads(stage["Properties"]["AccessLogSettings"]["Format"])
    assert logged["function_status"] == "$context.integration.status"


def test_access_log_has_no_file_names(translation: dict[str, Any]) -> None:
    """The access log has the route and the request id, but no path or query, which contain filenames."""
    (stage,) = resources_of_type(translation, "AWS::ApiGatewayV2::Stage").values()
    logged = stage["Properties"]["AccessLogSettings"]["Format"]
    assert "$context.requestId" in logged
    assert "$context.routeKey" in logged
    assert "$context.path" not in logged
    assert "\n" not in logged.strip(), "an entry of the log is one line"


def test_domain_resources_are_conditional(translation: dict[str, Any]) -> None:
    """Domain and mapping exist only with DomainName, the DNS record only with HostedZoneId too."""
    conditions = {name: body.get("Condition") for name, body in translation["Resources"].items()}
    assert (conditions["Domain"], conditions["DomainMapping"], conditions["DomainRecord"]) == (
        *("HasDomain", "HasDomain"),
        "HasZone",
    )
    mapping = translation["Resources"]["DomainMapping"]["Properties"]
    assert mapping["Stage"]["Ref"] in resources_of_type(translation, "AWS::ApiGatewayV2::Stage")
