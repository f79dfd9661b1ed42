"""The command line: what there is, what came of it, and what to do when nothing did."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from admin.commands import audit, client, key, quota
from admin.connect import connect
from admin.errors import AdminError
from ferry.errors import BackendUnavailable

COMMAND_MODULES = (client, key, quota, audit)
_EPILOG = """\
examples:
  ferry-admin client add camera-7 --namespace acme --stack ferry
  ferry-admin client list --local
  ferry-admin key list --stack ferry --json
  ferry-admin COMMAND --help teaches each of them

exit codes: 0 done, 1 refused or failed, 2 wrong usage
"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = build_parser().parse_args(arguments)
    try:
        outcome = options.handler(options, connect(options))
    except AdminError as error:
        return _report_failure(str(error), error.hint, error, as_json=options.json)
    except BackendUnavailable as error:
        cause = error.__cause__
        told = f"AWS did not do it: {cause}" if cause else "AWS could not be reached"
        hint = "whether it took effect is not known: look with `show` or `list`"
        if options.local is not None:
            hint = "is the local service running? (`make run`)"
        return _report_failure(told, hint, error, as_json=options.json)
    except KeyboardInterrupt:
        return 130
    print(json.dumps(outcome.data, indent=2) if options.json else "\n".join(outcome.lines))
    if outcome.note:
        print(outcome.note, file=sys.stderr)
    return 0


def build_parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="ferry-admin",
        description="What only an operator may do: who gets tokens, which keys sign them, what a namespace may have.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    groups = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMAND_MODULES:
        module.register(groups)
    return made


def _report_failure(message: str, hint: str, error: Exception, *, as_json: bool) -> int:
    hints = [each for each in (hint, *getattr(error, "__notes__", ())) if each]
    if as_json:
        print(json.dumps({"error": message, "hint": "; ".join(hints)}, indent=2))
    print("\n  ".join([f"ferry-admin: {message}", *hints]), file=sys.stderr)
    return 1
