"""Functions and their layer. What they may do is in test_permissions."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from samcli.lib.providers.sam_function_provider import SamFunctionProvider

from ferry.aws.session import INVOKE_TIMEOUT
from ferry.engine import SECOND
from ferry.http.listings import MAX_WAIT
from ferry.uploads.complete import PATIENCE
from ferry.uploads.making import LAST_CALL


def test_a_waiting_status_is_answered_in_time(functions: dict[str, Any]) -> None:
    """The longest wait leaves a third of the function's time for the last look."""
    assert functions["StatusFunction"]["Timeout"] * 2 // 3 + 1 >= MAX_WAIT


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
    # Another's completion is waited for before one's own begins; S3 may have the last call, and Lambda is told.
    assert PATIENCE + mending + LAST_CALL // SECOND + INVOKE_TIMEOUT < timeout


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
