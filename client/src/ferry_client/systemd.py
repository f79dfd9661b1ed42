"""Tell systemd, where it started this process with `Type=notify`, what the process does (sd_notify(3))."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def notify_systemd(**members: str) -> None:
    """Send assignments such as `READY="1"`; without systemd, do nothing.

    A line break in a value would begin another assignment, so it is replaced by a space. A receiver that reads nothing
    is not waited for.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address or not hasattr(socket, "AF_UNIX"):
        return
    message = "\n".join(f"{name}={' '.join(value.splitlines())}" for name, value in members.items())
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)
        channel.sendto(
            message.encode("utf-8", "backslashreplace"),
            "\0" + address[1:] if address.startswith("@") else address,
        )
