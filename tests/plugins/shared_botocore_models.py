"""Let botocore read the description of a service once in a process instead of once in a session.

Each integration test starts new functions, with sessions and clients of their own. Parsing the service descriptions
takes three quarters of the time that four new clients need. Clients of one session share a description too, so botocore
does not change it, except for the merge of its `extras`, which gives the same result each time.

A session also lists the folders of all services to find one. They are the same in each session.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
from botocore.loaders import JSONFileLoader, Loader


@pytest.fixture(scope="session", autouse=True)
def shared_botocore_models() -> Iterator[None]:
    """Cache the JSON files of botocore, and their names, across sessions."""
    load_once, list_once = cache(JSONFileLoader().load_file), cache(Loader().list_available_services)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", lambda self, file_path: load_once(file_path))
        patch.setattr(Loader, "list_available_services", lambda self, type_name: list_once(type_name))
        yield
