#!/usr/bin/env bash
# Build an emulator of Lambda's Python 3.13 image without an image registry: Debian 13, whose Python is 3.13, and
# awslambdaric from the lock file. It has no boto3, so a package that the layer lacks is noticed here.
# It is not Amazon Linux: what depends on the system's libraries is not shown by it.
#
# The image gets the name that SAM CLI asks for, unless AWS's own image has that name on this machine already.
set -euo pipefail
cd "$(dirname "$0")/../.."
case "$(uname -m)" in aarch64 | arm64) arch=arm64 ;; *) arch=x86_64 ;; esac
emulator=ferry/lambda-python:3.13
image=public.ecr.aws/lambda/python:3.13-$arch
label=ferry.emulator
tree_label=ferry.emulator.tree
root=build/docker
tree=$root/image.tar

for tool in mmdebstrap docker; do
  command -v "$tool" >/dev/null || {
    echo "runtime-image needs '$tool'. On Debian: apt-get install docker.io mmdebstrap debian-archive-keyring" >&2
    exit 1
  }
done
docker info >/dev/null 2>&1 || {
  echo "runtime-image needs a running Docker daemon that this user may use: $(docker info 2>&1 | tail -n 1)" >&2
  exit 1
}

mkdir -p "$root"
if [ ! -s "$tree" ] || [ "$0" -nt "$tree" ] || [ requirements/dev.txt -nt "$tree" ]; then
  overlay=$(mktemp -d)
  trap 'rm -rf "$overlay"' EXIT
  chmod 755 "$overlay"
  mkdir -p "$overlay"/{opt,var/task,var/rapid,var/runtime,var/lang/bin}
  ln -s /usr/bin/python3.13 "$overlay/var/lang/bin/python3.13"

  # The runtime interface client and its dependencies, with the hashes of the lock file. pip installs a part of a lock
  # file only from a file of its own.
  awk '/^[a-z]/ {selected = /^(awslambdaric|simplejson|snapshot-restore-py)==/} selected' requirements/dev.txt >"$root/runtime.txt"
  python3 -m pip install -qq --disable-pip-version-check --no-compile --no-deps --require-hashes --only-binary=:all: \
    --implementation cp --python-version 3.13 --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 \
    --target "$overlay/var/runtime" -r "$root/runtime.txt"

  install -m 755 dev/docker/bootstrap "$overlay/var/runtime/bootstrap"
  install -m 755 dev/docker/entrypoint "$overlay/lambda-entrypoint.sh"

  mmdebstrap --quiet --variant=minbase --format=tar --include=ca-certificates,python3.13 \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook="sync-in '$overlay' /" --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*' \
    trixie "$tree.new"
  mv "$tree.new" "$tree"
fi

# An import of the same tree again would leave the earlier image without a name, and on the disk.
tree_id=$(stat --format '%Y-%s' "$tree")
if [ "$(docker image inspect --format "{{index .Config.Labels \"$tree_label\"}}" "$emulator" 2>/dev/null)" != "$tree_id" ]; then
  docker import \
    --change 'ENV LANG=C.UTF-8 TZ=:UTC PATH=/var/lang/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime' \
    --change "LABEL $label=true $tree_label=$tree_id" \
    --change 'WORKDIR /var/task' --change 'ENTRYPOINT ["/lambda-entrypoint.sh"]' "$tree" "$emulator" >/dev/null
fi
echo "$emulator: $(($(docker image inspect --format '{{.Size}}' "$emulator") / 1000000)) MB"
if docker image inspect "$image" >/dev/null 2>&1 &&
  [ "$(docker image inspect --format "{{index .Config.Labels \"$label\"}}" "$image")" != true ]; then
  echo "$image is AWS's own image here, and SAM CLI uses that one (docker rmi $image makes way for the emulator)"
else
  docker tag "$emulator" "$image"
  echo "SAM CLI uses it as $image (docker rmi $image returns to AWS's own image)"
fi
