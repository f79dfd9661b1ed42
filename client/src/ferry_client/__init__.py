"""Upload and download files through a Ferry service, over lines that break.

`Ferry` is the client; `ferry_client.errors` has every exception. Names are imported on first use, so that
`import ferry_client` costs nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # Importing `typing` takes longer than `ferry --version` does without it.
if TYPE_CHECKING:
    from ferry_client.cancellation import CancelToken
    from ferry_client.client import Ferry
    from ferry_client.errors import FerryError
    from ferry_client.links import ShareLink
    from ferry_client.models import (
        DownloadResult,
        FileRecord,
        ListPage,
        TransferProgress,
        UploadResult,
        UploadStatus,
    )
    from ferry_client.options import ClientOptions

__version__ = "0.1.0"

__all__ = [
    "CancelToken",
    "ClientOptions",
    "DownloadResult",
    "Ferry",
    "FerryError",
    "FileRecord",
    "ListPage",
    "ShareLink",
    "TransferProgress",
    "UploadResult",
    "UploadStatus",
    "__version__",
]

if not TYPE_CHECKING:  # A type checker would take every misspelled name for one of these.
    _MODULES = {
        "CancelToken": "ferry_client.cancellation",
        "ClientOptions": "ferry_client.options",
        "DownloadResult": "ferry_client.models",
        "Ferry": "ferry_client.client",
        "FerryError": "ferry_client.errors",
        "FileRecord": "ferry_client.models",
        "ListPage": "ferry_client.models",
        "ShareLink": "ferry_client.links",
        "TransferProgress": "ferry_client.models",
        "UploadResult": "ferry_client.models",
        "UploadStatus": "ferry_client.models",
    }

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        return getattr(importlib.import_module(_MODULES[name]), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *_MODULES})
