"""Become a program that ends when its parent ends (on Linux): `die_with_parent.py PARENT PROGRAM ARGUMENT...`.

PARENT is the pid of the parent, or 0 when it is not known. `python -I -S` runs this without importing packages.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def set_parent_death_signal(signal_number: signal.Signals) -> None:
    """Receive a signal when the parent ends: precisely, when the thread of it that started this process ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)


def die_with_parent(parent_pid: int) -> None:
    """Be killed when the parent ends. `parent_pid` is 0 when it is not known."""
    set_parent_death_signal(signal.SIGKILL)
    # The parent may have ended before the call above.
    if parent_pid and os.getppid() != parent_pid:
        os._exit(1)


def main() -> None:
    """Replace this process by the program in its arguments."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    die_with_parent(parent)
    os.execv(program[0], program)  # noqa: S606 - replacing this process is its purpose


if __name__ == "__main__":
    main()
