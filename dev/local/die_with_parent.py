"""Becomes another program that cannot outlive whoever started it (on Linux): `die_with_parent.py PARENT PROGRAM ARGUMENT...`.

PARENT is the pid of whoever starts it, or 0 when that is not known. Run with `python -I -S`, so it costs little.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def set_parent_death_signal(signal_number: signal.Signals) -> None:
    """Have this process signalled when its parent ends, or rather the thread of it that made this process."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)


def die_with_parent(parent_pid: int) -> None:
    """Have this process killed when its parent ends; `parent` is its pid, or 0 when that is not known."""
    set_parent_death_signal(signal.SIGKILL)
    # It may have ended before the call above.
    if parent_pid and os.getppid() != parent_pid:
        os._exit(1)


def main() -> None:
    parent, program = int(sys.argv[1]), sys.argv[2:]
    die_with_parent(parent)
    os.execv(program[0], program)  # noqa: S606 - the whole point of it


if __name__ == "__main__":
    main()
