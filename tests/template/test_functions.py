"""The functions and their layer. test_permissions has their permissions."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dev.local.template import load_template
from ferry.aws.session import INVOKE_TIMEOUT_SECONDS, MAX_BACKOFF_SECONDS, SHORT_MAX_ATTEMPTS
from ferry.http.queries import MAX_WAIT_SECONDS
from ferry.rules.durations import SECOND_MS
from ferry.settings import Settings
from ferry.uploads.build_object import COMPLETE_CALL_GRACE_MS
from ferry.uploads.completion_attempt import WAIT_FOR_LEASE_SECONDS

if TYPE_CHECKING:
    from samcli.lib.providers.sam_function_provider import SamFunctionProvider


def test_long_poll_fits_function_timeout(functions: dict[str, Any]) -> None:
    """The longest wait of a long poll leaves a third of the function's timeout for the final read."""
    assert functions["StatusFunction"]["Timeout"] * 2 // 3 + 1 >= MAX_WAIT_SECONDS


def test_functions_share_runtime_and_layer(functions: dict[str, Any]) -> None:
    """All functions have the same runtime, handler, architecture parameter and layer."""
    for properties in functions.values():
        assert properties["Runtime"] == "python3.13"
        assert properties["Handler"] == "app.lambda_handler"
        assert properties["Architectures"] == [{"Ref": "Architecture"}]
        assert properties["Layers"] == [{"Ref": "CommonLayer"}]


def test_function_folder_holds_only_app(functions: dict[str, Any], root: Path) -> None:
    """A function's folder holds app.py alone, that of the pages their static files too: all of it is deployed, and a
    requirements.txt would be a second lock.
    """
    for properties in functions.values():
        folder = root / str(properties["CodeUri"])
        expected = ["app.py", "static"] if folder.name == "web" else ["app.py"]
        assert sorted(path.name for path in folder.iterdir() if path.name != "__pycache__") == expected


def test_every_function_folder_is_in_template(functions: dict[str, Any], root: Path) -> None:
    """Every folder below functions/ is the code of a function."""
    named = {str(properties["CodeUri"]).rstrip("/") for properties in functions.values()}
    assert {
        f"functions/{path.name}" for path in (root / "functions").iterdir() if path.is_dir() and any(path.glob("*.py"))
    } == named


def test_function_imports_are_restricted(functions: dict[str, Any], root: Path) -> None:
    """A function imports from `ferry`, but no adapter, and no library of AWS."""
    allowed = ("__future__", "typing", "collections.abc", "dataclasses", "pathlib", "urllib.parse", "ferry")
    forbidden = ("ferry.aws",)
    imported: set[str] = set()
    for properties in functions.values():
        tree = ast.parse((root / str(properties["CodeUri"]) / "app.py").read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                assert name.startswith(allowed), f"{properties['CodeUri']} imports {name}"
                assert not name.startswith(forbidden), f"{properties['CodeUri']} imports {name}"
            imported.update(names)
    assert "ferry.http.router" in imported


def test_sam_resolves_functions_and_layer(sam_functions: SamFunctionProvider, functions: dict[str, Any]) -> None:
    """SAM CLI finds every function with its handler and layer."""
    found = {function.name: function for function in sam_functions.get_all()}
    assert set(found) == set(functions)
    for function in found.values():
        assert [layer.name for layer in function.layers] == ["CommonLayer"]
        assert function.handler == "app.lambda_handler"


def test_layer_builds_from_flat_folder(template: Any, root: Path) -> None:
    """The package is directly in ContentUri. Below `python/`, SAM CLI would put it one folder too deep."""
    layer = template["Resources"]["CommonLayer"]
    assert layer["Metadata"]["BuildMethod"] == "makefile"
    folder = root / layer["Properties"]["ContentUri"]
    assert (folder / "ferry" / "__init__.py").is_file()
    assert not (folder / "python").exists()
    assert "build-CommonLayer:" in (folder / "Makefile").read_text(encoding="utf-8")
    assert layer["Properties"]["CompatibleRuntimes"] == ["python3.13"]


def test_layer_makefile_default_architecture_matches_template(template: Any, root: Path) -> None:
    """`sam build` passes no architecture to a makefile, so the makefile's default equals the parameter's."""
    default = template["Parameters"]["Architecture"]["Default"]
    assert f"FERRY_ARCHITECTURE ?= {default}\n" in (root / "layers/common/Makefile").read_text(encoding="utf-8")


def test_failed_async_invocations_go_to_dead_letter_queue(template: Any, functions: dict[str, Any]) -> None:
    """Lambda retries a failed invocation twice, then sends it to an encrypted queue that keeps it for 14 days."""
    config = functions["CleanupFunction"]["EventInvokeConfig"]
    assert config["MaximumRetryAttempts"] == 2
    failed = config["DestinationConfig"]["OnFailure"]
    assert failed == {"Type": "SQS", "Destination": {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}}
    queue = template["Resources"]["DeadLetterQueue"]["Properties"]
    assert queue == {"MessageRetentionPeriod": 14 * 24 * 3600, "SqsManagedSseEnabled": True}


@pytest.mark.parametrize("name", ["UploadFunction", "CleanupFunction"])
def test_lease_outlives_function_timeout(template: Any, functions: dict[str, Any], root: Path, name: str) -> None:
    """The lease outlives the function, and the assembly ends while there is time for the rest of the completion."""
    common = template["Globals"]["Function"]["Environment"]["Variables"]
    variables = {**common, **functions[name]["Environment"]["Variables"]}
    timeout = functions[name]["Timeout"]
    lease, assembly = int(variables["FERRY_LEASE_SECONDS"]), int(variables["FERRY_ASSEMBLY_BUDGET_SECONDS"])
    assert lease > timeout
    # A request waits for another's lease, assembles parts, calls CompleteMultipartUpload, and invokes the cleanup.
    invocation = SHORT_MAX_ATTEMPTS * INVOKE_TIMEOUT_SECONDS + MAX_BACKOFF_SECONDS
    assert WAIT_FOR_LEASE_SECONDS + assembly + COMPLETE_CALL_GRACE_MS // SECOND_MS + invocation < timeout


def test_function_timeout_in_environment_is_that_of_the_function(template: Any, functions: dict[str, Any]) -> None:
    """A digest of a chunk holds for as long as the upload function can live, not shorter and not longer."""
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    assert variables["FERRY_FUNCTION_TIMEOUT_SECONDS"] == str(functions["UploadFunction"]["Timeout"])
    assert "FERRY_FUNCTION_TIMEOUT_SECONDS" not in functions["UploadFunction"]["Environment"]["Variables"]


def test_sweep_has_time_before_reserve(template: Any, functions: dict[str, Any], root: Path) -> None:
    """The cleanup has two minutes at least besides its shutdown reserve and one assembly."""
    tree = ast.parse((root / "functions/cleanup/app.py").read_text(encoding="utf-8"))
    (reserve,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and [getattr(target, "id", "") for target in node.targets] == ["SHUTDOWN_RESERVE_MS"]
    )
    cleanup = functions["CleanupFunction"]
    assembly = int(cleanup["Environment"]["Variables"]["FERRY_ASSEMBLY_BUDGET_SECONDS"])
    assert cleanup["Timeout"] - assembly - reserve / 1000 >= 120


def test_template_has_nothing_of_the_emulator(template: Any, root: Path) -> None:
    """FERRY_ENDPOINTS is declared, because SAM CLI overrides only declared variables, and empty."""
    assert template["Globals"]["Function"]["Environment"]["Variables"]["FERRY_ENDPOINTS"] == ""
    text = (root / "template.yaml").read_text(encoding="utf-8")
    assert not re.search(r"127\.0\.0\.1|localhost(?!\n)|http://", text.replace("Default: https://localhost", ""))


def test_auth_cache_meets_revocation_deadline(template: Any) -> None:
    """A disabled client's tokens are rejected within 60 seconds, five of which are left for a read."""
    assert 1 <= int(template["Globals"]["Function"]["Environment"]["Variables"]["FERRY_AUTH_CACHE_TTL_SECONDS"]) <= 55


def test_every_required_setting_is_declared(template: Any) -> None:
    """The settings can be read from the variables of every function."""
    common = template["Globals"]["Function"]["Environment"]["Variables"]
    values = {name: "x" if isinstance(value, dict) else value for name, value in common.items()}
    numbers = {name: "1" for name in common if name.endswith(("_SECONDS", "_DAYS"))}
    assert Settings.from_environment({**values, **numbers, "FERRY_ENDPOINTS": ""}).bucket == "x"


@pytest.mark.parametrize("section", ["Parameters", "Outputs"])
@pytest.mark.parametrize("file", ["template.yaml", "monitoring.yaml"])
def test_parameters_and_outputs_have_descriptions(root: Path, file: str, section: str) -> None:
    """Every parameter and output says in a sentence what it is."""
    entries = load_template(root / file).get(section, {})
    assert entries or (file, section) == ("monitoring.yaml", "Outputs")
    for name, entry in entries.items():
        assert str(entry.get("Description", "")).endswith("."), f"{file}: {name}"


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        ("", True),
        ("https://cdn.example", True),
        ("https://cdn.example/ferry", True),
        ("https://cdn.example/", False),
        ("http://cdn.example", False),
        ("cdn.example", False),
        ("https://cdn.example?a=b", False),
        ("https://", False),
    ],
)
def test_public_url_is_https_without_slash_at_end(template: Any, value: str, valid: bool) -> None:
    """PublicUrl is empty, or an https URL to which a path can be appended. Every function has it."""
    assert bool(re.fullmatch(template["Parameters"]["PublicUrl"]["AllowedPattern"], value)) is valid
    common = template["Globals"]["Function"]["Environment"]["Variables"]
    assert common["FERRY_PUBLIC_URL"] == {"Ref": "PublicUrl"}


def test_every_function_has_storage_class(template: Any) -> None:
    """Each function that creates objects creates them in the class of the parameter, by default S3's own."""
    common = template["Globals"]["Function"]["Environment"]["Variables"]
    assert common["FERRY_STORAGE_CLASS"] == {"Ref": "StorageClass"}
    assert template["Parameters"]["StorageClass"]["Default"] == "STANDARD"
