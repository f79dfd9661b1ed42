"""Distribution of the test files over the processes of pytest-xdist, for `--dist=loadfile`.

One process runs all tests of a file, so that the fixtures of a module are built once. Of itself xdist starts the files
with the most tests first. Here the files that take longest start first, so that no process is left with one at the end.
The end-to-end tests that share a local service are one unit, so that one service starts instead of one per process. The
tests of the template are one unit, so that one process loads the libraries of SAM CLI.
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

FOLDERS_AS_UNITS = ("tests/clients/console/", "tests/e2e/", "tests/examples/", "tests/template/")
"""Their tests share a service, or libraries that take long to load."""
OWN_SERVICE_FILES = (
    "tests/clients/console/test_uploads.py",
    "tests/e2e/test_admin.py",
    "tests/e2e/test_client.py",
    "tests/e2e/test_client_expiry.py",
    "tests/e2e/test_client_if_exists.py",
    "tests/e2e/test_crash_recovery.py",
    "tests/e2e/test_damaged_state.py",
    "tests/e2e/test_external_issuer.py",
    "tests/e2e/test_full_disk.py",
    "tests/e2e/test_resumable.py",
)
"""The files below these folders that are units of their own: their tests start services of their own, or take so long
that a second shared service costs less.
"""

LONGEST_FIRST = (
    "tests/e2e/",
    "tests/e2e/test_client.py",
    "tests/e2e/test_client_if_exists.py",
    "tests/e2e/test_client_expiry.py",
    "tests/e2e/test_crash_recovery.py",
    "tests/e2e/test_resumable.py",
    "tests/examples/",
    "tests/e2e/test_full_disk.py",
    "tests/e2e/test_damaged_state.py",
    "tests/integration/test_local_command.py",
    "tests/e2e/test_admin.py",
    "tests/e2e/test_external_issuer.py",
    "tests/unit/uploads/test_faults.py",
    "tests/unit/test_snapstart.py",
    "tests/unit/uploads/test_cleanup_faults.py",
    "tests/unit/uploads/test_file_sizes.py",
    "tests/template/",
    "tests/unit/resumable/test_schedules.py",
    "tests/integration/test_least_privilege.py",
    "tests/integration/test_downloads.py",
    "tests/integration/test_tenant_isolation.py",
    "tests/integration/test_http_rules.py",
    "tests/integration/test_tus.py",
    "tests/integration/test_recovery_paths.py",
    "tests/unit/test_rotation.py",
    "tests/clients/console/",
    "tests/clients/console/test_uploads.py",
    "tests/clients/test_tus_clients.py",
    "tests/clients/test_uppy.py",
    "tests/clients/test_commands.py",
)
"""The units that take longer than about 4 seconds, the longest first: of `test-local`, of `test` and `test-stress`, of
`test-clients`.
"""


class LongestFirstScheduling(LoadFileScheduling):  # type: ignore[misc] # xdist is untyped
    """Schedules a file at a time, in the order of the collection, which `pytest_collection_modifyitems` has sorted."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


def unit_of(nodeid: str) -> str:
    """Return the name of the unit that a test belongs to: its file, or its folder."""
    path = nodeid.partition("::")[0]
    folders = (folder for folder in FOLDERS_AS_UNITS if path.startswith(folder))
    return path if path in OWN_SERVICE_FILES else next(folders, path)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """Replace the scheduler of `--dist=loadfile`."""
    if config.getoption("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False
    return LongestFirstScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move the longest units to the front. The other tests keep their order."""
    rank = {unit: position for position, unit in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(unit_of(item.nodeid), len(rank)))
