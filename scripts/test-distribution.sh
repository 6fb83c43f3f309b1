#!/bin/sh
# Installs each wheel or sdist into an empty environment and compiles the example with it.
# Downloads all that SmartMem depends on, and takes minutes; test/project/test_wheel.py is the
# quick form.
#
#   scripts/test-distribution.sh dist/*.whl dist/*.tar.gz
set -eu

for file in "$@"; do
    file=$(realpath "$file")
    folder=$(mktemp -d)
    echo "$file"
    python3 -m venv "$folder/venv"
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "$file[onnx]"
    cd "$folder" # where no source tree is
    venv/bin/smartmem --version
    venv/bin/smartmem demo
    venv/bin/python -m smartmem targets >/dev/null
    cd - >/dev/null
    rm -rf "$folder"
done
