#!/bin/sh
# Install the packages of a lock file into an environment: `sh dev/install_lock.sh ENVIRONMENT LOCK`.
# ENVIRONMENT is the folder of a virtual environment. Its Python's pip installs, and shows a line for every 25th package
# and its own output from the first error on.
# One pip uses one processor. Here each processor gets a pip with a share of the packages. The shares need nothing of each
# other: the lock has every package with its hashes, and `--no-deps` resolves none.
# Python writes bytecode when it first imports a module. Bytecode of every module would take longer than the installation:
# three quarters of the modules are never imported.
set -eu
environment=$1
lock=$2
python=$environment/bin/python
processors=$(getconf _NPROCESSORS_ONLN)
[ "$processors" -le 4 ] || processors=4

shares=$(mktemp -d)
trap 'rm -rf "$shares"' EXIT
trap 'exit 130' INT TERM
# A requirement starts at the margin. The lines below it are its hashes.
awk -v shares="$shares" -v count="$processors" '
  /^[A-Za-z0-9]/ {share = ++packages % count}
  packages {print > (shares "/" share ".txt")}' "$lock"

echo "installing $(grep -c == "$lock") packages into $environment (once)"
show_progress='
  /^(Collecting|Processing) / && ++count % 25 == 0 {print "  " count " fetched"; fflush()}
  /^ERROR/ {failed = 1}
  failed {print}
  {last = $0}
  END {if (last == "done") print "  " count " fetched and installed"; exit last != "done"}'

{
  find "$shares" -name '*.txt' -print0 | PYTHONUNBUFFERED=1 xargs -0 -P "$processors" -n 1 \
    "$python" -m pip install --progress-bar=off --disable-pip-version-check --no-deps --require-hashes \
    --only-binary=:all: --no-compile --requirement 2>&1 && echo done
} | awk "$show_progress" >&2
