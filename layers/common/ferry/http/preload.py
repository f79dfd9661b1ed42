"""Load what requests load at their first use, before SnapStart takes a snapshot."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from ferry.http import log, metrics, responses

_STANDARD_MODULES = ("concurrent.futures.thread", "dataclasses", "threading")


def load(*, json_bodies: bool) -> None:
    """Import the bodies of responses and the libraries of logs and metrics.

    Args:
        json_bodies: whether to build the models of JSON request bodies, too.
    """
    for name in _STANDARD_MODULES:
        import_module(name)
    for module in pkgutil.iter_modules(responses.__path__, f"{responses.__name__}."):
        import_module(module.name)
    log.load()
    metrics.load()
    if json_bodies:
        from ferry.http import models

        for model in models.Body.__subclasses__():
            model.model_rebuild(force=True)
