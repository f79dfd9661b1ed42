#!/bin/sh
# `sam build` for FERRY_ARCHITECTURE, told in both ways it must be: to the template and to the layer's makefile.
set -eu
cd "$(dirname "$0")/../.."
. dev/layer/runtime-python.sh
export FERRY_ARCHITECTURE="${FERRY_ARCHITECTURE:-x86_64}" SAM_CLI_TELEMETRY=0
exec sam build --parameter-overrides "Architecture=$FERRY_ARCHITECTURE"
