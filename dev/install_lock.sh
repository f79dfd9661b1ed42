#!/bin/sh
# Install the packages of a lock file into an environment: `sh dev/install_lock.sh ENVIRONMENT LOCK`, or for another Python
# into a folder: `sh dev/install_lock.sh ENVIRONMENT LOCK --target FOLDER --python-version 3.13`.
# ENVIRONMENT is the folder of a virtual environment.
#
# uv installs in seconds what takes pip half a minute. Both verify the hashes of the lock, so both install the same files.
# The lock of the whole environment has uv. Where uv is missing or fails, the environment's pip installs.
#
# One pip uses one processor. Each processor gets a pip with a share of the packages, and shows a line for every 25th
# package and its own output from the first error on. The shares need nothing of each other: the lock has every package
# with its hashes, and `--no-deps` resolves none.
#
# Python writes bytecode when it first imports a module. Bytecode of every module would take longer than the installation:
# three quarters of the modules are never imported.
set -eu
environment=$1
lock=$2
shift 2
python=$environment/bin/python
processors=$(getconf _NPROCESSORS_ONLN)
[ "$processors" -le 4 ] || processors=4
# Two pips do not share a folder of packages: each would leave out the folders of the other.
[ $# = 0 ] || processors=1

pip="$python -m pip"
# An environment of `venv --without-pip` gets its packages from the pip of the project's.
"$python" -c 'import pip' 2>/dev/null || pip=".venv/bin/python -m pip --python $python"
pip_options="install --progress-bar=off --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: --no-compile"

shares=$(mktemp -d)
trap 'rm -rf "$shares"' EXIT
trap 'exit 130' INT TERM

echo "installing $(grep -c == "$lock") packages into $environment (once)"

# Print the path of uv, which is installed first where the lock has it.
find_uv() {
  for uv in "$environment/bin/uv" .venv/bin/uv; do
    if [ -x "$uv" ]; then
      echo "$uv"
      return
    fi
  done
  awk '/^[A-Za-z0-9]/ {selected = /^uv==/} selected' "$lock" >"$shares/uv"
  if [ -s "$shares/uv" ] && $pip $pip_options --quiet --requirement "$shares/uv" >&2; then
    echo "$environment/bin/uv"
  else
    command -v uv
  fi
}

install_by_uv() {
  # uv does not read the configuration of pip, so it gets the index from there. An empty value selects the public index.
  index=${PIP_INDEX_URL:-$($pip config get global.index-url 2>/dev/null || true)}
  { UV_SYSTEM_CERTS=true UV_DEFAULT_INDEX=$index "$uv" pip install --no-config --no-progress --python "$python" \
    --no-deps --require-hashes --only-binary :all: --requirement "$lock" "$@" 2>&1 && echo done; } |
    awk '/^ [-+~] / || /^ *Downloaded / {next} {last = $0} last != "done" {print "  " last; fflush()} END {exit last != "done"}' >&2
}

install_by_pip() {
  # A requirement starts at the margin. The lines below it are its hashes.
  awk -v shares="$shares" -v count="$processors" '
    /^[A-Za-z0-9]/ {share = ++packages % count}
    packages {print > (shares "/" share ".txt")}' "$lock"
  show_progress='
    /^(Collecting|Processing) / && ++count % 25 == 0 {print "  " count " fetched"; fflush()}
    /^ERROR/ {failed = 1}
    failed {print}
    {last = $0}
    END {if (last == "done") print "  " count " fetched and installed"; exit last != "done"}'
  {
    find "$shares" -name '*.txt' -print0 | PYTHONUNBUFFERED=1 xargs -0 -P "$processors" -n 1 \
      $pip $pip_options "$@" --requirement 2>&1 && echo done
  } | awk "$show_progress" >&2
}

if ! uv=$(find_uv); then
  install_by_pip "$@"
elif ! install_by_uv "$@"; then
  echo "  uv failed; pip installs" >&2
  install_by_pip "$@"
fi
