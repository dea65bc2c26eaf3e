#!/usr/bin/env bash
# eaves keeping no more than 1 MiB of a body: what a large body costs beyond the keep limit.
EAVES_OPTS="--keep 1m ${EAVES_OPTS:-}"
. "$(dirname "$0")/eaves.sh"
