"""The template, read as CloudFormation's own tools read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cfnlint.decode import cfn_yaml
from samcli.lib.providers.provider import Stack
from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def template() -> Any:
    """As written: intrinsic functions in their long form (`{"Ref": …}`), anchors resolved."""
    return cfn_yaml.load(str(ROOT / "template.yaml"))


@pytest.fixture(scope="session")
def functions(template: Any) -> dict[str, Any]:
    """Every function's properties by logical id, those of Globals beneath its own."""
    common = template["Globals"]["Function"]
    return {
        name: {**common, **body["Properties"]}
        for name, body in template["Resources"].items()
        if body["Type"] == "AWS::Serverless::Function"
    }


@pytest.fixture(scope="session")
def sam_functions() -> SamFunctionProvider:
    """The functions as SAM CLI finds them, intrinsic functions resolved."""
    stacks: list[Stack] = SamLocalStackProvider.get_stacks(str(ROOT / "template.yaml"))[0]
    return SamFunctionProvider(stacks)
