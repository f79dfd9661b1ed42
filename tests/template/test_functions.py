"""Functions, their layer, and what they may do."""

from __future__ import annotations

import ast
import fnmatch
from pathlib import Path
from typing import Any

import pytest
from samcli.lib.providers.sam_function_provider import SamFunctionProvider

BUCKET_WIDE = {"s3:ListBucket", "s3:ListBucketMultipartUploads"}
"""S3 knows these for a whole bucket only."""


def statements(properties: Any) -> list[Any]:
    return [statement for policy in properties["Policies"] for statement in policy["Statement"]]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def texts(value: Any) -> list[str]:
    """Every string inside, those of intrinsic functions included."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return [str(value)]


def test_every_function_runs_on_the_runtime_that_the_layer_is_built_for(functions: dict[str, Any]) -> None:
    """One runtime, one handler, one architecture parameter, one layer."""
    for properties in functions.values():
        assert properties["Runtime"] == "python3.13"
        assert properties["Handler"] == "app.lambda_handler"
        assert properties["Architectures"] == [{"Ref": "Architecture"}]
        assert properties["Layers"] == [{"Ref": "CommonLayer"}]


def test_a_functions_folder_holds_its_module_and_nothing_else(functions: dict[str, Any], root: Path) -> None:
    """Everything in CodeUri ships, and a requirements.txt would make a second lock."""
    for properties in functions.values():
        folder = root / str(properties["CodeUri"])
        assert [path.name for path in folder.iterdir() if path.name != "__pycache__"] == ["app.py"]


def test_no_folder_of_a_function_is_forgotten(functions: dict[str, Any], root: Path) -> None:
    """A folder that no function names would never run."""
    named = {str(properties["CodeUri"]).rstrip("/") for properties in functions.values()}
    assert {
        f"functions/{path.name}" for path in (root / "functions").iterdir() if path.is_dir() and any(path.glob("*.py"))
    } == named


def test_a_function_imports_the_service_through_its_two_doors(functions: dict[str, Any], root: Path) -> None:
    """`ferry.http`, `ferry.wiring` and the use cases: no adapter, no library of AWS's."""
    allowed = ("__future__", "typing", "collections.abc", "ferry")
    barred = ("ferry.aws",)
    for properties in functions.values():
        tree = ast.parse((root / str(properties["CodeUri"]) / "app.py").read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                assert name.startswith(allowed), f"{properties['CodeUri']} imports {name}"
                assert not name.startswith(barred), f"{properties['CodeUri']} imports {name}"


def test_sam_finds_every_function_with_its_layer(deployed: SamFunctionProvider, functions: dict[str, Any]) -> None:
    """Intrinsic functions in the template are ones that SAM CLI resolves."""
    found = {function.name: function for function in deployed.get_all()}
    assert set(found) == set(functions)
    for function in found.values():
        assert [layer.name for layer in function.layers] == ["CommonLayer"]
        assert function.handler == "app.lambda_handler"


def test_the_layer_is_built_by_its_makefile_from_a_flat_folder(template: Any, root: Path) -> None:
    """The package lies directly in ContentUri: below `python/` SAM's own builder would put it one folder too deep."""
    layer = template["Resources"]["CommonLayer"]
    assert layer["Metadata"]["BuildMethod"] == "makefile"
    folder = root / layer["Properties"]["ContentUri"]
    assert (folder / "ferry" / "__init__.py").is_file()
    assert not (folder / "python").exists()
    assert "build-CommonLayer:" in (folder / "Makefile").read_text(encoding="utf-8")
    assert layer["Properties"]["CompatibleRuntimes"] == ["python3.13"]


def test_the_layers_makefile_agrees_with_the_template_on_the_architecture(template: Any, root: Path) -> None:
    """SAM hands no architecture to a makefile: a bare `sam build` takes both defaults, so they must be one."""
    default = template["Parameters"]["Architecture"]["Default"]
    assert f"FERRY_ARCHITECTURE ?= {default}\n" in (root / "layers/common/Makefile").read_text(encoding="utf-8")


def test_every_permission_is_spelled_out(functions: dict[str, Any]) -> None:
    """No wildcard in an action, no resource that is everything."""
    for name, properties in functions.items():
        for statement in statements(properties):
            assert not [action for action in as_list(statement["Action"]) if "*" in action], name
            assert "*" not in as_list(statement["Resource"]), name


def test_objects_are_reached_by_prefix(functions: dict[str, Any]) -> None:
    """No object permission on all of the bucket; the whole bucket only for what S3 knows for nothing less."""
    for name, properties in functions.items():
        for statement in statements(properties):
            actions = {action for action in as_list(statement["Action"]) if action.startswith("s3:")}
            for resource in as_list(statement["Resource"]) if actions else []:
                whole = resource == {"Fn::GetAtt": ["Bucket", "Arn"]}
                assert whole == (actions <= BUCKET_WIDE), f"{name}: {sorted(actions)}"
                if not whole:
                    assert any(fnmatch.fnmatch(text, "${Bucket.Arn}/*/[*]") for text in texts(resource)), (
                        f"{name}: {resource}"
                    )


@pytest.mark.parametrize("name", ["DownloadFunction", "UploadFunction", "CleanupFunction"])
def test_absent_can_be_told_from_forbidden(functions: dict[str, Any], name: str) -> None:
    """Without ListBucket S3 answers 403 for a key that is not there."""
    granted = {action for statement in statements(functions[name]) for action in as_list(statement["Action"])}
    assert "s3:ListBucket" in granted


def test_only_the_clean_up_may_look_over_all_uploads(functions: dict[str, Any]) -> None:
    """Nobody else has a use for what other applications keep in a bucket."""
    having = {
        name
        for name, properties in functions.items()
        if any("s3:ListBucketMultipartUploads" in as_list(statement["Action"]) for statement in statements(properties))
    }
    assert having == {"CleanupFunction"}


def test_only_the_token_function_may_sign(functions: dict[str, Any]) -> None:
    """Whoever can sign can be anybody."""
    signers = {
        name
        for name, properties in functions.items()
        if any("kms:Sign" in as_list(statement["Action"]) for statement in statements(properties))
    }
    assert signers == {"AuthFunction"}


def test_only_the_upload_function_may_hand_work_on(functions: dict[str, Any]) -> None:
    """To the clean-up function's alias, whose retries and queue are configured there, and to no other."""
    granted = {
        name: statement["Resource"]
        for name, properties in functions.items()
        for statement in statements(properties)
        if "lambda:InvokeFunction" in as_list(statement["Action"])
    }
    assert granted == {"UploadFunction": {"Ref": "CleanupFunction.Alias"}}
    told = {
        name: properties["Environment"]["Variables"]["FERRY_CLEANUP_FUNCTION"]
        for name, properties in functions.items()
        if "FERRY_CLEANUP_FUNCTION" in properties["Environment"]["Variables"]
    }
    assert told == {"UploadFunction": {"Ref": "CleanupFunction.Alias"}}


def test_what_was_handed_on_and_failed_is_kept(template: Any, functions: dict[str, Any]) -> None:
    """Lambda tries again, and then leaves it in a queue for as long as a queue keeps anything."""
    config = functions["CleanupFunction"]["EventInvokeConfig"]
    assert config["MaximumRetryAttempts"] == 2
    failed = config["DestinationConfig"]["OnFailure"]
    assert failed == {"Type": "SQS", "Destination": {"Fn::GetAtt": ["FailedInvocations", "Arn"]}}
    queue = template["Resources"]["FailedInvocations"]["Properties"]
    assert queue == {"MessageRetentionPeriod": 14 * 24 * 3600, "SqsManagedSseEnabled": True}


@pytest.mark.parametrize("name", ["UploadFunction", "CleanupFunction"])
def test_a_lease_outlives_the_function_that_takes_it(
    template: Any, functions: dict[str, Any], root: Path, name: str
) -> None:
    """And mending ends while there is time for the rest."""
    common = template["Globals"]["Function"]["Environment"]["Variables"]
    variables = {**common, **functions[name]["Environment"]["Variables"]}
    timeout, lease, mending = functions[name]["Timeout"], int(variables["FERRY_LEASE"]), int(variables["FERRY_MENDING"])
    assert lease > timeout
    # Another's completion is waited for, up to 10 s, before one's own begins.
    assert mending + 10 < timeout


def test_the_sweep_has_time_to_begin(template: Any, functions: dict[str, Any], root: Path) -> None:
    """What it keeps back for its last entry, mending included, leaves some of the clean-up function's time."""
    tree = ast.parse((root / "functions/cleanup/app.py").read_text(encoding="utf-8"))
    (reserve,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == ["RESERVE"]
    )
    cleanup = functions["CleanupFunction"]
    mending = int(cleanup["Environment"]["Variables"]["FERRY_MENDING"])
    assert cleanup["Timeout"] - mending - reserve / 1000 >= 120
