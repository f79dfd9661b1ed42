"""Run SAM CLI (`python -m dev.docker.quick_sam_cli local start-api …`) without two pieces of work that it repeats.

After each request SAM CLI waits up to a second for the line that ends the log of a request. It does not recognize that
line when it arrives together with other lines, as after a function that logs, and then the whole second passes. The log
is printed by another thread, so that the response need not wait for it.

SAM CLI builds the image with the layers again for each function, although one image serves all that have the same
layers. Here a process builds it once, and a process with the variable `HAS_IMAGES_VARIABLE` does not build it.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

from samcli.cli.main import cli
from samcli.local.docker.container import Container
from samcli.local.docker.lambda_image import LambdaImage

from dev.docker.start_api import HAS_IMAGES_VARIABLE

MAX_WAIT_SECONDS = 0.02


class LogEvent(threading.Event):
    """The event that the last line of a request's log has been printed."""

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(MAX_WAIT_SECONDS if timeout is None else min(timeout, MAX_WAIT_SECONDS))


def shorten_wait() -> None:
    """Have SAM CLI create `LogEvent`s."""
    Container._create_threading_event = staticmethod(LogEvent)  # noqa: SLF001 - SAM CLI made it for its own tests


def build_images_once() -> None:
    """Have SAM CLI build each image at most once."""
    build_image = LambdaImage._build_image  # noqa: SLF001 - SAM CLI has no option for it
    built = set[str]()

    def build_once(images: LambdaImage, base_image: str, tag: str, *args: Any, **kwargs: Any) -> None:
        if tag in built or HAS_IMAGES_VARIABLE in os.environ:
            return
        build_image(images, base_image, tag, *args, **kwargs)
        built.add(tag)

    LambdaImage._build_image = build_once  # noqa: SLF001


if __name__ == "__main__":
    shorten_wait()
    build_images_once()
    sys.exit(cli())
