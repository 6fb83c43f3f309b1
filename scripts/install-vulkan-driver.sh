#!/bin/sh
# Makes sure that a Vulkan driver is there: installs Mesa's software driver (lavapipe)
# where none is found and we may; else says how and lets the caller go on without.
set -eu

has_loader() { ldconfig -p 2>/dev/null | grep -q 'libvulkan\.so\.1'; }
has_driver() {
    for file in ${VK_DRIVER_FILES:-} ${VK_ICD_FILENAMES:-} \
        /usr/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*.json; do
        [ -e "$file" ] && return 0
    done
    return 1
}

PACKAGES="libvulkan1 mesa-vulkan-drivers"
if has_loader && has_driver; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing the software Vulkan driver: $PACKAGES"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    if apt-get -qq update && apt-get -qq install --no-install-recommends $PACKAGES >/dev/null; then
        exit 0
    fi
fi
echo "note: no Vulkan driver found; going on without Vulkan." >&2
echo "      On Debian and Ubuntu: apt-get install $PACKAGES" >&2
