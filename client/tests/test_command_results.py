"""What a command says that had nothing to do, and how names are shown that would change a terminal."""

from __future__ import annotations

import pytest

from client.tests.commands import Run, json_lines, run
from client.tests.fake_responses import reply
from client.tests.fake_service import FakeService

__all__ = ["run"]

Captured = pytest.CaptureFixture[str]

TURNED = "invoice\u202egpj.exe"
"""A name that a terminal shows as invoiceexe.jpg."""


def test_restore_says_whether_the_file_was_restored_now(run: Run, fake: FakeService, capsys: Captured) -> None:
    """The service responds to a repeated restore as to the first one; the command tells them apart."""
    fake.put_file("a", b"a")
    fake.deleted["a"] = fake.files.pop("a")
    assert run("restore", "a") == 0
    assert capsys.readouterr().out == "restored a\n"
    fake.before.append(
        lambda request: reply(200, fake.record("a", fake.files["a"])) if "restore" in request.url else None
    )
    assert run("restore", "a") == 0
    assert capsys.readouterr().out == "a is there already: it was restored before\n"
    assert run("restore", "a", "--json") == 0
    (line,) = json_lines(capsys.readouterr().out)
    assert (line["filename"], line["restored"]) == ("a", False)


def test_cancel_says_whether_an_upload_was_in_progress(run: Run, fake: FakeService, capsys: Captured) -> None:
    """The service accepts a repeated cancel; the command says that there was nothing in progress."""
    status = {"filename": "a", "upload_id": "1", "state": "partial", "size": 2, "received_bytes": 1}
    states: list[list[dict[str, object]]] = [[status], []]
    fake.before.append(
        lambda request: reply(200, {"uploads": states.pop(0)}) if request.url.endswith("/status") else None
    )
    fake.before.append(lambda request: reply(204, {}) if request.method == "DELETE" else None)
    assert run("cancel", "a") == 0
    assert run("cancel", "a") == 0
    assert capsys.readouterr().out == "cancelled a\nThe upload of a was cancelled before.\n"


@pytest.mark.parametrize("name", ["a", "p/"])
def test_move_to_the_same_name_is_rejected(run: Run, fake: FakeService, capsys: Captured, name: str) -> None:
    """A file and a folder that have the name already: nothing is sent, and the message says so."""
    fake.put_file("a", b"a")
    fake.put_file("p/b", b"b")
    assert run("mv", name, name) == 2
    text = f"ferry: {name} has this name already. Nothing is moved: choose another name.\n"
    assert capsys.readouterr() == ("", text)


def test_status_without_uploads_says_so(run: Run, fake: FakeService, capsys: Captured) -> None:
    """Standard output stays empty for programs; people read that nothing is in progress."""
    fake.before.append(lambda request: reply(200, {"uploads": []}) if request.url.endswith("/status") else None)
    assert run("status") == 0
    assert capsys.readouterr() == ("", "No uploads are in progress.\n")


@pytest.mark.parametrize("arguments", [["ls"], ["ls", "-l"], ["stat", TURNED], ["get", TURNED, "x"]])
def test_name_that_turns_text_around_is_escaped(
    run: Run, fake: FakeService, capsys: Captured, arguments: list[str]
) -> None:
    """People see the character; no terminal gets it."""
    fake.put_file(TURNED, b"x")
    assert run(*arguments) == 0
    captured = capsys.readouterr()
    assert "\u202e" not in captured.out + captured.err
    assert "invoice\\u202egpj.exe" in captured.out or arguments[0] == "get"


def test_json_has_the_exact_name(run: Run, fake: FakeService, capsys: Captured) -> None:
    """Programs get the name as it is."""
    fake.put_file(TURNED, b"x")
    assert run("ls", "--json") == 0
    (line,) = json_lines(capsys.readouterr().out)
    assert line["filename"] == TURNED
