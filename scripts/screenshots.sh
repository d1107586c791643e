#!/usr/bin/env bash
# Makes docs/images/status-{light,dark,phone}.png: the status page of a real Landbridge, with real servers, an ocean of
# 100 ms and the traffic of a small application, in a real browser. `scripts/setup.sh` installs what it needs.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly IMAGES=$PWD/docs/images
mkdir -p "$IMAGES"
SCREENSHOTS=$IMAGES cargo test --quiet --test real -- browser::pictures::pictures --exact
ls -l "$IMAGES"
