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
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import IO, Any

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


def run(arguments: Sequence[str]) -> None:
    """Run SAM CLI in this process. Raises `SystemExit` at its end."""
    omit_wait()
    find_credentials_once()
    remember_containers()
    keep_connections()
    build_images_once()
    cli(list(arguments), prog_name="sam")


def run_in_fork(arguments: Sequence[str], *, env: Mapping[str, str], text: str) -> tuple[str, str]:
    """Run SAM CLI in a fork of this process, which need not load the program again, and return stdout and stderr.

    Args:
        arguments: the command line, without the name of the program.
        env: its environment.
        text: its standard input.
    """
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as log:
        source.write(text.encode())
        source.seek(0)
        sys.stdout.flush()
        sys.stderr.flush()
        process = os.fork()
        if process == 0:
            _run_with_streams(arguments, env, (source, output, log))
        os.waitpid(process, 0)
        output.seek(0)
        log.seek(0)
        return output.read().decode(), log.read().decode(errors="replace")


def _run_with_streams(arguments: Sequence[str], env: Mapping[str, str], streams: tuple[IO[bytes], ...]) -> None:
    """Run SAM CLI with these standard streams and this environment, then end the process."""
    try:
        for descriptor, stream in enumerate(streams):
            os.dup2(stream.fileno(), descriptor)
        sys.stdin, sys.stdout, sys.stderr = map(os.fdopen, range(3), "rww")
        os.environ.clear()
        os.environ.update(env)
        run(arguments)
    except SystemExit:
        pass
    except BaseException:  # noqa: BLE001 - nothing of the other process may run here
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


if __name__ == "__main__":
    run(sys.argv[1:])
