"""The template, read by the libraries of cfn-lint and SAM CLI. Fixtures fail when they find nothing to test.

The libraries load within the fixtures: every process of a run collects these tests, and one of them runs them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from samcli.lib.providers.sam_function_provider import SamFunctionProvider

ROOT = Path(__file__).parents[2]
FUNCTION_COUNT = 5
"""Functions that the template has at least."""


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def template() -> Any:
    """The template with intrinsic functions in their long form (`{"Ref": …}`) and anchors resolved."""
    from cfnlint.decode import cfn_yaml

    loaded = cfn_yaml.load(str(ROOT / "template.yaml"))
    assert loaded["Resources"]
    assert loaded["Parameters"]
    return loaded


@pytest.fixture(scope="session")
def functions(template: Any) -> dict[str, Any]:
    """Properties of every function by logical id, including those of Globals."""
    common = template["Globals"]["Function"]
    found = {
        name: {**common, **body["Properties"]}
        for name, body in template["Resources"].items()
        if body["Type"] == "AWS::Serverless::Function"
    }
    assert len(found) >= FUNCTION_COUNT
    return found


@pytest.fixture(scope="session")
def sam_functions() -> SamFunctionProvider:
    """The functions as SAM CLI finds them, with intrinsic functions resolved."""
    from samcli.lib.providers.sam_function_provider import SamFunctionProvider
    from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider

    stacks = SamLocalStackProvider.get_stacks(str(ROOT / "template.yaml"))[0]
    provider = SamFunctionProvider(stacks)
    assert len(list(provider.get_all())) >= FUNCTION_COUNT
    return provider
