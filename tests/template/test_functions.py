"""Functions and their layer. What they may do is in test_permissions."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from samcli.lib.providers.sam_function_provider import SamFunctionProvider

from ferry.aws.session import INVOKE_TIMEOUT_SECONDS
from ferry.http.queries import MAX_WAIT_SECONDS
from ferry.rules.durations import SECOND_MS
from ferry.uploads.build_object import COMPLETE_CALL_GRACE_MS
from ferry.uploads.complete import WAIT_FOR_LEASE_SECONDS


def test_long_poll_fits_function_timeout(functions: dict[str, Any]) -> None:
    """The longest wait leaves a third of the function's time for the last look."""
    assert functions["StatusFunction"]["Timeout"] * 2 // 3 + 1 >= MAX_WAIT_SECONDS


def test_functions_share_runtime_and_layer(functions: dict[str, Any]) -> None:
    """One runtime, one handler, one architecture parameter, one layer."""
    for properties in functions.values():
        assert properties["Runtime"] == "python3.13"
        assert properties["Handler"] == "app.lambda_handler"
        assert properties["Architectures"] == [{"Ref": "Architecture"}]
        assert properties["Layers"] == [{"Ref": "CommonLayer"}]


def test_function_folder_holds_only_app(functions: dict[str, Any], root: Path) -> None:
    """Everything in CodeUri ships, and a requirements.txt would make a second lock."""
    for properties in functions.values():
        folder = root / str(properties["CodeUri"])
        assert [path.name for path in folder.iterdir() if path.name != "__pycache__"] == ["app.py"]


def test_every_function_folder_is_in_template(functions: dict[str, Any], root: Path) -> None:
    """A folder that no function names would never run."""
    named = {str(properties["CodeUri"]).rstrip("/") for properties in functions.values()}
    assert {
        f"functions/{path.name}" for path in (root / "functions").iterdir() if path.is_dir() and any(path.glob("*.py"))
    } == named


def test_function_imports_are_restricted(functions: dict[str, Any], root: Path) -> None:
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


def test_sam_resolves_functions_and_layer(sam_functions: SamFunctionProvider, functions: dict[str, Any]) -> None:
    """Intrinsic functions in the template are ones that SAM CLI resolves."""
    found = {function.name: function for function in sam_functions.get_all()}
    assert set(found) == set(functions)
    for function in found.values():
        assert [layer.name for layer in function.layers] == ["CommonLayer"]
        assert function.handler == "app.lambda_handler"


def test_layer_builds_from_flat_folder(template: Any, root: Path) -> None:
    """The package lies directly in ContentUri: below `python/` SAM's own builder would put it one folder too deep."""
    layer = template["Resources"]["CommonLayer"]
    assert layer["Metadata"]["BuildMethod"] == "makefile"
    folder = root / layer["Properties"]["ContentUri"]
    assert (folder / "ferry" / "__init__.py").is_file()
    assert not (folder / "python").exists()
    assert "build-CommonLayer:" in (folder / "Makefile").read_text(encoding="utf-8")
    assert layer["Properties"]["CompatibleRuntimes"] == ["python3.13"]


def test_layer_makefile_default_architecture_matches_template(template: Any, root: Path) -> None:
    """SAM hands no architecture to a makefile: a bare `sam build` takes both defaults, so they must be one."""
    default = template["Parameters"]["Architecture"]["Default"]
    assert f"FERRY_ARCHITECTURE ?= {default}\n" in (root / "layers/common/Makefile").read_text(encoding="utf-8")


def test_failed_async_invocations_go_to_dead_letter_queue(template: Any, functions: dict[str, Any]) -> None:
    """Lambda tries again, and then leaves it in a queue for as long as a queue keeps anything."""
    config = functions["CleanupFunction"]["EventInvokeConfig"]
    assert config["MaximumRetryAttempts"] == 2
    failed = config["DestinationConfig"]["OnFailure"]
    assert failed == {"Type": "SQS", "Destination": {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}}
    queue = template["Resources"]["DeadLetterQueue"]["Properties"]
    assert queue == {"MessageRetentionPeriod": 14 * 24 * 3600, "SqsManagedSseEnabled": True}


@pytest.mark.parametrize("name", ["UploadFunction", "CleanupFunction"])
def test_lease_outlives_function_timeout(template: Any, functions: dict[str, Any], root: Path, name: str) -> None:
    """And mending ends while there is time for the rest."""
    common = template["Globals"]["Function"]["Environment"]["Variables"]
    variables = {**common, **functions[name]["Environment"]["Variables"]}
    timeout, lease, mending = (
        functions[name]["Timeout"],
        int(variables["FERRY_LEASE_SECONDS"]),
        int(variables["FERRY_ASSEMBLY_BUDGET_SECONDS"]),
    )
    assert lease > timeout
    # Another's completion is waited for before one's own begins; S3 may have the last call, and Lambda is told.
    assert WAIT_FOR_LEASE_SECONDS + mending + COMPLETE_CALL_GRACE_MS // SECOND_MS + INVOKE_TIMEOUT_SECONDS < timeout


def test_sweep_has_time_before_reserve(template: Any, functions: dict[str, Any], root: Path) -> None:
    """What it keeps back for its last entry, mending included, leaves some of the clean-up function's time."""
    tree = ast.parse((root / "functions/cleanup/app.py").read_text(encoding="utf-8"))
    (reserve,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and [getattr(target, "id", "") for target in node.targets] == ["SHUTDOWN_RESERVE_MS"]
    )
    cleanup = functions["CleanupFunction"]
    mending = int(cleanup["Environment"]["Variables"]["FERRY_ASSEMBLY_BUDGET_SECONDS"])
    assert cleanup["Timeout"] - mending - reserve / 1000 >= 120
