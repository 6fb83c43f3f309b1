#!/bin/sh
# Builds the Vulkan library with its tests and runs them. Where it cannot be built, SmartMem
# works without it: says what is missing and succeeds.
#
#   scripts/test-runtime.sh                          as released, warnings are errors
#   SANITIZE=address,undefined scripts/test-runtime.sh
#   SANITIZE=thread scripts/test-runtime.sh
set -eu

cd "$(dirname "$0")/.."
mkdir -p build
SANITIZE=${SANITIZE:-}
# Sanitizers find more where nothing is optimized, and g++ takes a tenth of the time.
TYPE=Release
[ -z "$SANITIZE" ] || TYPE=Debug
# A comma in a folder's name would end an option of the linker.
BUILD=build/runtime$(printf %s "${SANITIZE:+-$SANITIZE}" | tr , -)

for tool in cmake ctest c++; do
    if ! command -v "$tool" >/dev/null; then
        echo "note: no $tool; the Vulkan library is not tested." >&2
        echo "      On Debian and Ubuntu: apt-get install cmake g++ libvulkan-dev libgtest-dev spirv-tools" >&2
        exit 0
    fi
done
if ! cmake -S runtime -B "$BUILD" -DCMAKE_BUILD_TYPE="$TYPE" -DSMARTMEM_WERROR=ON \
    "-DSMARTMEM_SANITIZE=$SANITIZE" >"$BUILD.log" 2>&1; then
    if grep -q "smartmem_vulkan needs" "$BUILD.log"; then
        grep -A2 "smartmem_vulkan needs" "$BUILD.log" >&2
        exit 0
    fi
    cat "$BUILD.log" >&2
    exit 1
fi
grep -A4 "are left out" "$BUILD.log" >&2 || true
cmake --build "$BUILD" --parallel 2 >"$BUILD.log" 2>&1 || { cat "$BUILD.log" >&2; exit 1; }
ctest --test-dir "$BUILD" --output-on-failure
