"""Entry point of the `ferry` command."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # Importing `typing` takes longer than `ferry --version` does without it.
if TYPE_CHECKING:
    from typing import NoReturn

    from ferry_client.errors import FerryError


def main() -> NoReturn:
    """Run the command, and exit with a code of `exit_codes`."""
    _open_missing_streams()
    if sys.argv[1:] == ["--version"]:  # without the imports of a command
        code = _print_version()
        sys.exit(0) if code == 0 else _exit(code)
    _exit(_run())


def _open_missing_streams() -> None:
    """Open streams that this process was started without: output is dropped, and input cannot be read.

    Otherwise the next file or connection gets the descriptor of one, and what is written to the stream.
    """
    if sys.stdin is None:
        sys.stdin = open(os.open(os.devnull, os.O_WRONLY))  # noqa: SIM115, PTH123 - until the end of the process
    if sys.stdout is None:
        sys.stdout = open(os.open(os.devnull, os.O_WRONLY), "w")  # noqa: SIM115, PTH123
    if sys.stderr is None:
        sys.stderr = open(os.open(os.devnull, os.O_WRONLY), "w")  # noqa: SIM115, PTH123


def _print_version() -> int:
    from ferry_client import __version__

    try:
        print(f"ferry {__version__}", flush=True)
    except OSError as error:
        return _output_failed(error)
    return 0


def _run() -> int:
    import signal

    signal.signal(signal.SIGTERM, _raise_interrupt)
    try:
        return _run_group()
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return _interrupted()


def _raise_interrupt(signal_number: int, frame: object) -> None:
    """Treat SIGTERM as Ctrl-C."""
    del signal_number, frame
    raise KeyboardInterrupt


def _run_group() -> int:
    """Run the subcommand that the arguments name, and return the exit code."""
    import io

    import click

    from ferry_client.cli import exit_codes
    from ferry_client.cli.group import ferry
    from ferry_client.cli.units import shown
    from ferry_client.errors import FerryError, UsageError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names can have letters that the terminal lacks
    try:
        if "" in sys.argv[1:]:
            raise UsageError("An argument is empty. Is a variable of the shell not set?")
        result = ferry.main(prog_name="ferry", standalone_mode=False)
        return result if isinstance(result, int) else exit_codes.DONE
    except click.exceptions.Abort:
        return _interrupted()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except FerryError as error:
        print(f"ferry: {shown(_advised(error))}", file=sys.stderr)
        return exit_codes.exit_code(error)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - the reader has gone; nothing may be flushed to it
        return exit_codes.SOME_FAILED
    except OSError as error:
        return _output_failed(error)


def _output_failed(error: OSError) -> int:
    """Report output that could not be written, and return the exit code."""
    import errno

    from ferry_client.cli import exit_codes

    sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - what cannot be written is not written again
    print(f"ferry: {error.filename or 'standard output'}: {error.strerror}.", file=sys.stderr)
    return exit_codes.NO_SPACE if error.errno in (errno.ENOSPC, errno.EDQUOT) else exit_codes.SOME_FAILED


_CONTINUED = ("put", "get", "sync", "spool", "mv")
"""Commands that, run again, continue where they stopped."""


def _subcommand() -> str:
    return sys.argv[1] if len(sys.argv) > 1 else ""


def _advised(error: FerryError) -> str:
    """Return the text of an error, without the advice to continue where nothing can be continued."""
    from ferry_client.retries import CONTINUE_ADVICE

    text = str(error)
    return text if _subcommand() in _CONTINUED else text.removesuffix(CONTINUE_ADVICE).rstrip()


def _interrupted() -> int:
    """Say how to continue after Ctrl-C, and return the exit code."""
    from ferry_client.cli import exit_codes

    name, text = _subcommand(), "stopped."
    if name == "cat" or (name == "get" and "-" in sys.argv[2:]):
        text += " The output is incomplete."
    elif name in _CONTINUED:
        text += " Run the same command again: it continues where it stopped."
    print(f"ferry: {text}", file=sys.stderr)
    return exit_codes.INTERRUPTED


def _exit(code: int) -> NoReturn:
    """Exit without waiting for the threads of transfers that were stopped."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue
    os._exit(code)
