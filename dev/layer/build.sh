#!/bin/sh
# Run `sam build` for FERRY_ARCHITECTURE. The template reads it as a parameter, the layer's makefile from the environment.
set -eu
cd "$(dirname "$0")/../.."
. dev/layer/runtime-python.sh
export FERRY_ARCHITECTURE="${FERRY_ARCHITECTURE:-x86_64}" SAM_CLI_TELEMETRY=0
exec sam build --parameter-overrides "Architecture=$FERRY_ARCHITECTURE"
