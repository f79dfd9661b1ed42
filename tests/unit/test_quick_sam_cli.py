"""SAM CLI without work that it repeats."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any
from unittest.mock import Mock, patch

import pytest


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A container of SAM CLI whose Docker client records its calls. The methods that a test replaces are restored."""
    from samcli.local.docker.container import Container

    replaced = ("_create_threading_event", "_wait_for_socket_connection", "is_created", "is_running", "start")
    for name in replaced:
        monkeypatch.setattr(Container, name, vars(Container)[name])
    found = object.__new__(Container)
    found.id, found._mount_with_write, found._validated_docker_client = None, False, Mock()
    return found


def test_sam_cli_waits_for_no_log(container: Any) -> None:
    """SAM CLI creates the event of this project, which ends a wait of a second at once."""
    from dev.docker.quick_sam_cli import LogEvent, omit_wait

    omit_wait()
    event = container._create_threading_event()
    assert isinstance(event, LogEvent)
    with patch.object(threading.Event, "wait", autospec=True) as wait:
        assert not event.wait(timeout=1)
        event.set()
        assert event.wait(timeout=1)
    wait.assert_not_called()


def test_sam_cli_looks_for_credentials_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each runner of functions looks once, also where it finds none."""
    from samcli.commands.local.lib.local_lambda import LocalLambdaRunner

    from dev.docker.quick_sam_cli import find_credentials_once

    searches = []

    def find_none(runner: LocalLambdaRunner) -> None:
        searches.append(runner)

    monkeypatch.setattr(LocalLambdaRunner, "_get_session_creds", find_none)
    find_credentials_once()
    runners = [object.__new__(LocalLambdaRunner) for _ in range(2)]
    for runner in (*runners, *runners):
        assert runner._get_session_creds() is None
    assert searches == runners


def test_sam_cli_remembers_its_containers(container: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state of a container is the one that SAM CLI itself brought about; its port is waited for once."""
    from dev.docker.quick_sam_cli import remember_containers

    waits: list[Any] = []
    monkeypatch.setattr(type(container), "_wait_for_socket_connection", waits.append)
    remember_containers()
    assert not container.is_created()
    container.id = "a container"
    assert container.is_created()
    assert not container.is_running()
    container.start()
    docker = container._validated_docker_client
    docker.containers.get.return_value.start.assert_called_once_with()
    calls = len(docker.mock_calls)
    for _ in range(2):
        assert container.is_running()
        container._wait_for_socket_connection()
    assert len(docker.mock_calls) == calls
    assert waits == [container]


def test_sam_cli_keeps_connections_open(container: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests to containers share a session, which ignores the proxies of the environment."""
    import requests
    from samcli.local.docker import container as container_module

    from dev.docker.quick_sam_cli import keep_connections

    monkeypatch.setattr(container_module, "requests", container_module.requests)
    keep_connections()
    container._container_host, container.rapid_port_host = "127.0.0.1", 5000
    with patch.object(requests.Session, "request", autospec=True) as request:
        request.return_value = Mock(headers={}, content=b'{"statusCode": 200}')
        answers = [container._make_http_request("{}") for _ in range(2)]
    assert answers == [('{"statusCode": 200}', False)] * 2
    first, second = (call.args[0] for call in request.call_args_list)
    assert first is second
    assert not first.trust_env


@pytest.mark.parametrize(("has_images", "tags"), [(False, ["a", "b"]), (True, [])])
def test_sam_cli_builds_image_once(monkeypatch: pytest.MonkeyPatch, has_images: bool, tags: list[str]) -> None:
    """An image that several functions share is built once, and not at all where it is known to be there."""
    from samcli.local.docker.lambda_image import LambdaImage

    from dev.docker.quick_sam_cli import build_images_once
    from dev.docker.start_api import HAS_IMAGES_VARIABLE

    built = []

    def build_image(_images: Any, _base_image: str, docker_tag: str, *_: Any, **__: Any) -> None:
        built.append(docker_tag)

    monkeypatch.setattr(LambdaImage, "_build_image", build_image)
    monkeypatch.delenv(HAS_IMAGES_VARIABLE, raising=False)
    if has_images:
        monkeypatch.setenv(HAS_IMAGES_VARIABLE, "yes")
    build_images_once()
    images = object.__new__(LambdaImage)
    for tag in ("a", "a", "b", "a"):
        images._build_image("base", tag, [], "x86_64", stream=None)
    assert built == tags


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_sam_cli_in_fork_returns_its_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork runs SAM CLI with the given arguments, input and environment, and leaves this process as it is."""
    from dev.docker import quick_sam_cli

    def cli(arguments: list[str], prog_name: str) -> None:
        sys.stdout.write(f"{prog_name} {arguments} {sys.stdin.read()} {dict(os.environ)}")
        sys.stderr.write("the log")
        raise SystemExit(3)

    monkeypatch.setattr(quick_sam_cli, "cli", cli)
    environment = dict(os.environ)
    output = quick_sam_cli.run_in_fork(["local", "invoke"], env={"NAME": "value"}, text="the event")
    assert output == ("sam ['local', 'invoke'] the event {'NAME': 'value'}", "the log")
    assert dict(os.environ) == environment


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_sam_cli_in_fork_shows_its_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception of SAM CLI is in the log, and ends the fork alone."""
    from dev.docker import quick_sam_cli

    monkeypatch.setattr(quick_sam_cli, "cli", Mock(side_effect=RuntimeError("no container")))
    output, log = quick_sam_cli.run_in_fork(["local"], env=dict(os.environ), text="")
    assert output == ""
    assert log.endswith("RuntimeError: no container\n")
