#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# Runs the training examples with torch and torchcodec, by fork and by spawn, and says how long each step takes.
# Usage: training.sh [FOLDER]. Needs REDUCTSTORE_BIN and the built package. torch with its libraries takes 6 GB in the
# folder, a temporary one by default, and some 15 minutes on two cores. A folder that is named is kept for the next run.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
: "${REDUCTSTORE_BIN:?names the program of the server}"
if [ $# -gt 0 ]; then
    folder=$1
    mkdir -p "$folder"
else
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
fi

# Runs a step, and prints how long it took.
step() {
    name=$1
    shift
    begin=$(date +%s)
    "$@"
    echo "$name: $(($(date +%s) - begin)) s"
}

python=$folder/venv/bin/python
[ -x "$python" ] || step "virtual environment" "${PYTHON:-python3}" -m venv "$folder/venv"
step "torch and torchcodec" "$python" -m pip install --quiet --disable-pip-version-check torch torchcodec
step "other packages" "$python" -m pip install --quiet --disable-pip-version-check av numpy pyarrow "pytest==9.2.0"
du -sh "$folder/venv"
cd "$here"
step "examples" env PYTHONPATH=.. "$python" -m pytest -v --durations=0 -p no:cacheprovider run_training.py
