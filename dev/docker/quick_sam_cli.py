"""Run SAM CLI (`python -m dev.docker.quick_sam_cli local start-api …`) without work that it repeats for each request.

After each request SAM CLI waits up to a second for the line that ends the log of a request. It does not recognize that
line when it arrives together with other lines, as after a function that logs, and then the whole second passes. The log
is printed by another thread, so that the response need not wait for it.

Before each request it looks for AWS credentials anew where it has found none, asks Docker twice for the state of the
function's container, and opens two connections to that container. Here it looks once, takes a container that it has
started for a running one, and keeps a connection open. A container that has ended otherwise makes the request fail.

SAM CLI builds the image with the layers again for each function, although one image serves all that have the same
layers. Here a process builds it once, and a process with the variable `HAS_IMAGES_VARIABLE` does not build it.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from types import SimpleNamespace
from typing import Any

import requests
from samcli.cli.main import cli
from samcli.commands.local.lib.local_lambda import LocalLambdaRunner
from samcli.local.docker import container as container_module
from samcli.local.docker.container import Container
from samcli.local.docker.lambda_image import LambdaImage

from dev.docker.start_api import HAS_IMAGES_VARIABLE


class LogEvent(threading.Event):
    """The event that the last line of a request's log has been printed. Nothing waits for it."""

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - the signature of threading.Event
        return self.is_set()


def omit_wait() -> None:
    """Have SAM CLI create `LogEvent`s."""
    Container._create_threading_event = staticmethod(LogEvent)  # noqa: SLF001 - SAM CLI made it for its own tests


def find_credentials_once() -> None:
    """Have SAM CLI look for AWS credentials once, also where there are none."""
    LocalLambdaRunner._get_session_creds = functools.cache(LocalLambdaRunner._get_session_creds)  # noqa: SLF001


def remember_containers() -> None:
    """Have SAM CLI remember which containers it has created and started, and that their ports accept connections."""
    start, wait_for_socket = Container.start, Container._wait_for_socket_connection  # noqa: SLF001
    started, reachable = set[str | None](), set[str | None]()

    def remember_start(container: Container, *args: Any, **kwargs: Any) -> None:
        start(container, *args, **kwargs)
        started.add(container.id)

    def wait_once(container: Container) -> None:
        if container.id not in reachable:
            wait_for_socket(container)
            reachable.add(container.id)

    Container.start = remember_start
    Container._wait_for_socket_connection = wait_once  # noqa: SLF001
    Container.is_created = lambda container: container.id is not None
    Container.is_running = lambda container: container.id in started


def keep_connections() -> None:
    """Have SAM CLI send the requests to a container over a connection that stays open."""
    session = requests.Session()
    session.trust_env = False
    container_module.requests = SimpleNamespace(post=session.post)


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
    omit_wait()
    find_credentials_once()
    remember_containers()
    keep_connections()
    build_images_once()
    sys.exit(cli())
