"""Deploy the built template to a CloudFormation emulator and check the result: `python -m dev.deploy_check`.

`sam package` packages the template, SAM's transform expands it, and change sets apply it to ministack:

1. Two stacks side by side. No physical id is the same in both. Each resource of the second is read through its
   service's API and compared with the template, property by property. Properties that the emulator does not return are
   listed in `dev/deploy_check/unsupported_properties.py` and printed.
2. A stack of the previous version (`dev/deploy_check/previous_stack`) with its rows and objects, then its update. The
   new functions read the data and complete an upload that the old ones began.
3. All stacks are deleted. Only what has a deletion policy may remain.

Option: --skip-build uses the existing build in .aws-sam.
"""

from __future__ import annotations

import shutil
import sys

from dev.deploy_check import stacks
from dev.deploy_check.compare import compare_properties
from dev.deploy_check.ministack import ministack
from dev.deploy_check.names import check_names_are_disjoint, check_nothing_is_left, take_inventory
from dev.deploy_check.stacks import PackagedTemplate, Stack
from dev.deploy_check.unsupported_properties import UNSUPPORTED_METRIC_MATH
from dev.deploy_check.upgrade import check_upgrade, create_previous_stack, is_retained
from dev.docker import start_api
from dev.docker.errors import SamError
from dev.errors import CheckError
from dev.local import sam_cli
from dev.paths import ROOT

WORK_FOLDER = ROOT / "build" / "deploy-check"
STACK_NAME, SECOND_STACK_NAME, UPDATED_STACK_NAME = "ferry", "ferry-beside", "ferry-updated"


def main() -> int:
    """Return 0 if every check passes, 1 otherwise."""
    shutil.rmtree(WORK_FOLDER, ignore_errors=True)
    WORK_FOLDER.mkdir(parents=True)
    try:
        if "--skip-build" not in sys.argv:
            start_api.build()
        with ministack(WORK_FOLDER):
            stacks.create_artifacts_bucket()
            _check_stacks()
    except (CheckError, SamError) as error:
        sys.stderr.write(f"deploy check: {error}\n")
        return 1
    return 0


def _check_stacks() -> None:
    parameters = {"Architecture": sam_cli.host_architecture()}
    packaged = stacks.expand(stacks.sam_package(WORK_FOLDER), parameters)
    before = take_inventory()
    stack = stacks.create_stack(STACK_NAME, packaged.template, parameters)
    second = stacks.create_stack(SECOND_STACK_NAME, packaged.template, parameters)
    check_names_are_disjoint(stack, second)
    lines = _compare(packaged, second)
    print(f"deploy check: {len(second.resources)} resources in each of two stacks, no name in both")

    previous, old = create_previous_stack(UPDATED_STACK_NAME, parameters)
    updated = check_upgrade(previous, old, packaged.template)
    print("deploy check: a stack of the previous version was updated; its file and its upload are intact")

    deployed = [(packaged, stack), (packaged, second), (packaged, updated)]
    for _, each in deployed:
        stacks.delete_stack(each)
    check_nothing_is_left(before, _may_remain(deployed) | _replaced(old, updated))
    print("deploy check: the stacks were deleted, and left nothing but what has a deletion policy")
    for line in lines:
        print(f"  not checked, the emulator does not return it: {line}")


def _compare(packaged: PackagedTemplate, stack: Stack) -> list[str]:
    """Compare a stack with its template, and return what could not be compared. Raises `CheckError`."""
    equal, unsupported = compare_properties(packaged.template, stack.parameters, stack.resources, stack.name)
    nested = stack.nested()
    nested_equal, nested_unsupported = compare_properties(
        packaged.nested, nested.parameters, nested.resources, nested.name
    )
    print(f"deploy check: {equal + nested_equal} properties equal the template")
    return sorted({*unsupported, *nested_unsupported, UNSUPPORTED_METRIC_MATH})


def _may_remain(deployed: list[tuple[PackagedTemplate, Stack]]) -> dict[str, str]:
    """Return the physical ids that a deletion policy keeps. The emulator deletes them too."""
    return {
        stack.resources[logical_id]: "it has a deletion policy"
        for packaged, stack in deployed
        for logical_id, body in packaged.template["Resources"].items()
        if is_retained(body) and logical_id in stack.resources  # a condition may leave a resource out
    }


def _replaced(old: Stack, updated: Stack) -> dict[str, str]:
    """Return the physical ids that the update replaced. The emulator, unlike CloudFormation, does not delete them."""
    return {
        physical_id: "the emulator does not delete what an update replaces"
        for logical_id, physical_id in old.resources.items()
        if updated.resources.get(logical_id, physical_id) != physical_id
    }


if __name__ == "__main__":
    sys.exit(main())
