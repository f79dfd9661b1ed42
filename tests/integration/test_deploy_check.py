"""The deploy check fails on what it is there to find: names that two stacks share, lost data, remains."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from typing import Any

import pytest

from dev.deploy_check import stacks
from dev.deploy_check.ministack import ministack
from dev.deploy_check.names import check_names_are_disjoint, check_nothing_is_left, take_inventory
from dev.deploy_check.previous_rows import PREVIOUS_STACK
from dev.deploy_check.stacks import Stack
from dev.deploy_check.upgrade import replaced_data_resources
from dev.errors import CheckError
from dev.paths import ROOT
from dev.template.sam_transform import package_template, transform_template


@pytest.fixture(scope="module")
def emulator_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an emulator of CloudFormation."""
    with ministack(tmp_path_factory.mktemp("ministack")) as url:
        stacks.create_artifacts_bucket()
        yield url


@pytest.fixture
def emulator(emulator_url: str, no_real_aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point every AWS client to the emulator."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator_url)


@cache
def transformed_template() -> dict[str, Any]:
    """Return the template after SAM's transform, which takes half a second. Tests that change it copy it."""
    return transform_template(package_template())


def create_two_stacks(template: dict[str, Any]) -> tuple[Stack, Stack]:
    """Create two stacks of a packaged template side by side."""
    expanded = stacks.expand(template, {}).template
    first, second = (stacks.create_stack(name, expanded, {}) for name in ("first", "second"))
    return first, second


@pytest.mark.usefixtures("emulator")
def test_check_template_without_omit_name_fails() -> None:
    """Without OmitName both stacks have a schedule of one name: the emulator accepts it, the check does not."""
    template = stacks.package_folder(ROOT)
    del template["Resources"]["CleanupFunction"]["Properties"]["Events"]["Schedule"]["Properties"]["OmitName"]
    first, second = create_two_stacks(template)
    with pytest.raises(CheckError, match="\n  CleanupFunctionSchedule: CleanupFunctionSchedule"):
        check_names_are_disjoint(first, second)
    for stack in (first, second):
        stacks.delete_stack(stack)


@pytest.mark.usefixtures("emulator")
def test_check_two_stacks_have_disjoint_names_and_leave_nothing() -> None:
    """Two stacks of the template pass; the check of remains fails while one of them exists."""
    before = take_inventory()
    first, second = create_two_stacks(stacks.package_folder(ROOT))
    check_names_are_disjoint(first, second)
    stacks.delete_stack(first)
    with pytest.raises(CheckError) as caught:
        check_nothing_is_left(before, {})
    kinds = {line.split("  ")[1].rpartition(" ")[0] for line in str(caught.value).splitlines()[1:]}
    assert kinds == set(before)
    stacks.delete_stack(second)
    check_nothing_is_left(before, {})


@pytest.mark.parametrize(
    ("logical_id", "change", "problem"),
    [
        (
            "MetadataTable",
            {"KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}]},
            "is replaced: KeySchema changes",
        ),
        ("AuthTable", {"TableName": "auth"}, "is replaced: TableName changes"),
        ("Bucket", {"BucketName": "files"}, "is replaced: BucketName changes"),
        ("SigningKey", None, "is removed"),
        ("MetadataTable", {"DeletionProtectionEnabled": True}, ""),
    ],
)
def test_check_update_that_replaces_data_fails(logical_id: str, change: dict[str, Any] | None, problem: str) -> None:
    """An update that replaces or removes a table, the bucket or the key is found before it is made; others pass."""
    before, after = transformed_template(), deepcopy(transformed_template())
    if change is None:
        del after["Resources"][logical_id]
    else:
        after["Resources"][logical_id]["Properties"] |= change
    found = replaced_data_resources(before, after, Stack("ferry", {}, {}))
    assert found == ([f"{logical_id} {problem}"] if problem else [])


@pytest.mark.usefixtures("emulator")
def test_previous_stack_has_a_fixed_name() -> None:
    """The template of the previous version gives its schedule a fixed name."""
    template = stacks.package_folder(PREVIOUS_STACK)
    first, second = create_two_stacks(template)
    with pytest.raises(CheckError, match="CleanupFunctionSchedule"):
        check_names_are_disjoint(first, second)
