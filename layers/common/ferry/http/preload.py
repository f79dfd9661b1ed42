"""Load what requests load at their first use, before SnapStart takes a snapshot."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from ferry.http import log, responses

_STANDARD_MODULES = ("concurrent.futures.thread", "dataclasses", "threading")


def load(*, json_bodies: bool, modules: Sequence[str] = ()) -> None:
    """Import the bodies of responses and the library of log lines.

    Args:
        json_bodies: whether to build the validators of JSON request bodies, too.
        modules: what else to import; of a package, all its modules.
    """
    for name in (*_STANDARD_MODULES, *modules):
        _import_all(import_module(name))
    _import_all(responses)
    log.load()
    if json_bodies:
        from ferry.http import request_bodies

        for reader in request_bodies.readers():
            reader.validator()


def _import_all(module: ModuleType) -> None:
    """Import all modules of a package of Ferry. Do nothing for other modules, which have loaded what they need."""
    if module.__name__.startswith("ferry."):
        for found in pkgutil.iter_modules(getattr(module, "__path__", ()), f"{module.__name__}."):
            import_module(found.name)
