#!/bin/bash
# Builds the compilers of phones' GPUs in the folder PHONE_ROOT: Mesa's turnip (Adreno) and panvk
# (Mali), each with drm-shim, a kernel interface that does nothing. As root, on Debian or Ubuntu,
# once, in about 10 minutes on two cores; every step that was done is skipped.
#
#   PHONE_ROOT=/opt/phone benchmarks/phone/setup.sh
#
# MIRROR names another mirror of Debian, JOBS the processes of the build.
set -euo pipefail
root=${PHONE_ROOT:?the folder to install into}
here=$(cd "$(dirname "$0")" && pwd)
mirror=${MIRROR:-http://deb.debian.org/debian}
release=trixie
packages=(
  ca-certificates meson ninja-build gcc g++ bison flex pkgconf cmake dpkg-dev xz-utils
  python3-mako python3-yaml python3-ply python3-packaging
  libdrm-dev zlib1g-dev libexpat1-dev libelf-dev libzstd-dev libarchive-dev libxml2-dev libudev-dev
  libvulkan-dev vulkan-tools glslang-tools spirv-tools
  llvm-19-dev libclang-19-dev libclang-cpp19-dev libclc-19 libclc-19-dev llvm-spirv-19
  libllvmspirvlib-19-dev clang-19
)
options=(
  -Dvulkan-drivers=freedreno,panfrost -Dgallium-drivers= -Dfreedreno-kmds=msm -Dtools=drm-shim
  -Dplatforms= -Dglx=disabled -Degl=disabled -Dgbm=disabled -Dopengl=false
  -Dgles1=disabled -Dgles2=disabled -Dllvm=enabled -Dshared-llvm=enabled -Dvideo-codecs=
  -Dvalgrind=disabled -Dlibunwind=disabled -Dlmsensors=disabled -Dxmlconfig=disabled
  -Dperfetto=false -Dbuild-tests=false
  -Dbuildtype=release -Db_ndebug=true -Dc_args=-O1 -Dcpp_args=-O1
)
libraries=(
  src/freedreno/vulkan/libvulkan_freedreno.so src/freedreno/drm-shim/libfreedreno_noop_drm_shim.so
  src/panfrost/vulkan/libvulkan_panfrost.so src/panfrost/drm-shim/libpanfrost_noop_drm_shim.so
)

inside() { chroot "$root" /usr/bin/env -i PATH=/usr/lib/llvm-19/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/root "$@"; }

once() { # once STEP FUNCTION
  [ -e "$root/.done-$1" ] && return
  echo "$1 ..."
  "$2"
  touch "$root/.done-$1"
}

install_root() {
  command -v mmdebstrap >/dev/null || { echo "needs mmdebstrap: apt-get install mmdebstrap" >&2; exit 1; }
  mmdebstrap --variant=apt --mode=root --include="$(IFS=,; echo "${packages[*]}")" "$release" "$root" "$mirror"
  for device in null:3 zero:5 urandom:9; do # the build runs without /dev
    [ -c "$root/dev/${device%:*}" ] || mknod -m 666 "$root/dev/${device%:*}" c 1 "${device#*:}"
  done
}

unpack_mesa() {
  echo "deb-src $mirror $release main" >"$root/etc/apt/sources.list.d/source.list"
  mkdir -p "$root/src"
  inside apt-get -q update
  inside sh -ec 'cd /src && apt-get -q source --download-only mesa && rm -rf mesa && dpkg-source -x mesa_*.dsc mesa'
}

build_mesa() {
  [ -e "$root/src/build/build.ninja" ] || inside meson setup /src/build /src/mesa "${options[@]}"
  inside ninja -j "${JOBS:-2}" -C /src/build "${libraries[@]}"
}

name_drivers() {
  mkdir -p "$root/lab"
  for driver in freedreno panfrost; do
    echo "{\"file_format_version\": \"1.0.0\", \"ICD\": {\"library_path\": \"/src/build/src/$driver/vulkan/libvulkan_$driver.so\", \"api_version\": \"1.3.0\"}}" >"$root/lab/$driver.json"
  done
}

[ "$(id -u)" = 0 ] || { echo "needs root: compilers are installed in a root folder of their own" >&2; exit 1; }
mkdir -p "$root"
once root install_root
once source unpack_mesa
once mesa build_mesa
name_drivers
# Always: it is quick, and follows this checkout.
cp "$here/shader_stats.c" "$root/lab/"
inside gcc -O1 -Wall -o /lab/shader_stats /lab/shader_stats.c -lvulkan
echo "the compilers are in $root; use them with PHONE_ROOT=$root python benchmarks/phone/measure_kernels.py"
