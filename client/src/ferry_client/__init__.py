"""Upload and download files through a Ferry service, over lines that break.

`Ferry` is the client; `ferry_client.errors` has every exception. Names are imported on first use, so that
`import ferry_client` costs nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # Importing `typing` takes longer than `ferry --version` does without it.
if TYPE_CHECKING:
    from typing import Any

    from ferry_client.client import Ferry
    from ferry_client.errors import FerryError
    from ferry_client.models import FileRecord, ListPage, TransferProgress, UploadResult
    from ferry_client.options import ClientOptions

__version__ = "0.1.0"

__all__ = [
    "ClientOptions",
    "Ferry",
    "FerryError",
    "FileRecord",
    "ListPage",
    "TransferProgress",
    "UploadResult",
    "__version__",
]

_MODULES = {
    "ClientOptions": "ferry_client.options",
    "Ferry": "ferry_client.client",
    "FerryError": "ferry_client.errors",
    "FileRecord": "ferry_client.models",
    "ListPage": "ferry_client.models",
    "TransferProgress": "ferry_client.models",
    "UploadResult": "ferry_client.models",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_MODULES[name]), name)
