#!/usr/bin/env bash
# Checks deploy/kubernetes and deploy/helm with Helm's own library and the schemas of Kubernetes. They are
# large (350 MB) and from PyPI, so `make test` uses them only where this script has been run.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly PLACE=target/kubernetes
if ! cmp -s tests/kubernetes/requirements.txt "$PLACE/installed.txt"; then
    rm -rf "$PLACE"
    /usr/bin/python3 -m venv "$PLACE"
    "$PLACE/bin/pip" --quiet install --requirement tests/kubernetes/requirements.txt
    cp tests/kubernetes/requirements.txt "$PLACE/installed.txt"
fi
"$PLACE/bin/python" tests/kubernetes/check.py deploy/kubernetes/*.yaml deploy/helm/landbridge
echo 'manifests and chart are right'
