#!/bin/sh
# Installs what SmartMem takes from the system, where it is missing and we may; else says how
# and lets the caller go on without.
#
#   scripts/install-system-packages.sh driver    Mesa's software Vulkan driver (lavapipe)
#   scripts/install-system-packages.sh library   what the Vulkan library and its tests need
#   scripts/install-system-packages.sh browser   Chromium, to test the report's page
set -eu

has_loader() { ldconfig -p 2>/dev/null | grep -q 'libvulkan\.so\.1'; }
has_driver() {
    for file in ${VK_DRIVER_FILES:-} ${VK_ICD_FILENAMES:-} \
        /usr/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*.json; do
        [ -e "$file" ] && return 0
    done
    return 1
}
has_tools() {
    for tool in cmake c++ spirv-val vulkaninfo; do
        command -v "$tool" >/dev/null || return 1
    done
    for file in /usr/include/vulkan/vulkan_core.h /usr/include/gtest/gtest.h \
        /usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json; do
        [ -e "$file" ] || return 1
    done
}

case "${1:-driver}" in
driver)
    WHAT="Vulkan driver" WITHOUT="without Vulkan"
    PACKAGES="libvulkan1 mesa-vulkan-drivers"
    if has_loader && has_driver; then exit 0; fi
    ;;
library)
    WHAT="tools to build and test the Vulkan library"
    WITHOUT="without the tests that need them"
    PACKAGES="cmake g++ libvulkan-dev libgtest-dev spirv-tools vulkan-tools vulkan-validationlayers"
    if has_tools; then exit 0; fi
    ;;
browser)
    WHAT="Chromium" WITHOUT="without the tests of the report's page in a browser"
    PACKAGES="chromium"
    if command -v chromium >/dev/null || command -v google-chrome >/dev/null; then exit 0; fi
    ;;
*)
    echo "error: '$1' is unknown; use driver, library or browser" >&2
    exit 1
    ;;
esac
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing: $PACKAGES"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    if apt-get -qq update && apt-get -qq install --no-install-recommends $PACKAGES >/dev/null; then
        exit 0
    fi
fi
echo "note: no $WHAT found; going on $WITHOUT." >&2
echo "      On Debian and Ubuntu: apt-get install $PACKAGES" >&2
