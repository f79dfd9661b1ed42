"""SAM CLI without work that it repeats."""

from __future__ import annotations

import threading
from typing import Any
from unittest.mock import call, patch

import pytest


def test_sam_cli_waits_shortly_for_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """SAM CLI creates the event of this project, which ends a wait of a second at once."""
    from samcli.local.docker.container import Container

    from dev.docker.quick_sam_cli import MAX_WAIT_SECONDS, LogEvent, shorten_wait

    monkeypatch.setattr(Container, "_create_threading_event", Container._create_threading_event)
    shorten_wait()
    event = Container._create_threading_event()
    assert isinstance(event, LogEvent)
    with patch.object(threading.Event, "wait", autospec=True, return_value=False) as wait:
        assert not event.wait(timeout=1)
        assert not event.wait()
    assert wait.call_args_list == [call(event, MAX_WAIT_SECONDS)] * 2
    event.set()
    assert event.wait(timeout=1)


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
