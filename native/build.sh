#!/usr/bin/env bash
# build.sh fatbin|emulation OUTPUT [BUILD]: compiles the kernels for GPUs (needs nvcc), or for the CPU with a stand-in
# driver, and then runs their C++ tests (needs a C++ compiler; Linux). BUILD is CMake's folder. Without the tools it
# says in one line what is skipped; a compilation or a test that fails is an error. Nothing is done again that did not
# change. GROUPREDUCE_KERNELS=skip leaves both out. GROUPREDUCE_ARCHITECTURES="80 90a" compiles for these cards only, which is shorter; without it,
# or with "all", the fatbins are those of a release (cmake/architectures.cmake).
set -euo pipefail
unset CDPATH

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
[ $# -ge 2 ] || {
  echo "usage: build.sh fatbin|emulation OUTPUT [BUILD]" >&2
  exit 2
}
target=$1
mkdir -p "$2"
output=$(cd "$2" && pwd -P)
build=${3:-$here/../java/cuda/target/native}
mkdir -p "$build"
build=$(cd "$build" && pwd -P)
log=$build/$target.log

case $target in
  fatbin) skipped="The GPU kernels are not compiled, and the jar cannot use a GPU" ;;
  emulation) skipped="The kernels are not tested under emulation" ;;
  *)
    echo "build.sh: '$target' is neither fatbin nor emulation" >&2
    exit 2
    ;;
esac

skip() {
  echo "$skipped: $1."
  exit 0
}

# The CUDA compiler: by CUDACXX, on the PATH, in CUDA_HOME or in its usual place.
find_nvcc() {
  local candidate
  for candidate in "${CUDACXX:-}" "$(command -v nvcc || true)" "${CUDA_HOME:-}/bin/nvcc" /usr/local/cuda/bin/nvcc; do
    if [ -n "$candidate" ] && [ -x "$candidate" ]; then
      echo "$candidate"
      return
    fi
  done
}

[ "${GROUPREDUCE_KERNELS:-}" != skip ] || skip "GROUPREDUCE_KERNELS=skip is set"

settings=()
set_to() {
  settings+=("-D$1=$2")
}

if [ "$target" = fatbin ]; then
  nvcc=$(find_nvcc)
  [ -n "$nvcc" ] || skip "nvcc (CUDA 12.0 or later) was not found"
  release=$("$nvcc" --version | sed -n 's/.*release \([0-9.]*\).*/\1/p')
  [ "${release%%.*}" -ge 12 ] 2>/dev/null || skip "$nvcc is of CUDA ${release:-?}, and 12.0 is needed"
  set_to GROUPREDUCE_NVCC:FILEPATH "$nvcc"
  set_to GROUPREDUCE_NVCC_RELEASE:STRING "$release"
  architectures=${GROUPREDUCE_ARCHITECTURES:-all}
  set_to GROUPREDUCE_ARCHITECTURES:STRING "$(echo "${architectures#all}" | tr -s ' ,' ';')"
  set_to GROUPREDUCE_FATBIN_OUTPUT:PATH "$output"
else
  [ "$(uname -s)" = Linux ] || skip "the stand-in driver needs Linux"
  set_to GROUPREDUCE_EMULATION_OUTPUT:PATH "$output"
fi
command -v cmake >/dev/null || skip "cmake was not found"
command -v "${CXX:-c++}" >/dev/null || skip "a C++ compiler was not found"
command -v ninja >/dev/null || command -v make >/dev/null || skip "neither ninja nor make was found"

# CMake's own error where there is one, to its end, else the last lines.
failed() {
  local said
  said=$(sed -n '/^CMake Error/,/^-- /{/^-- /!p;}' "$log")
  if [ -n "$said" ]; then echo "$said"; else tail -n 40 "$log"; fi >&2
  echo "build.sh: $1; the whole log is $log" >&2
  exit 1
}

# Whether CMake's cache is of this place and its tools are still there: a copied or moved checkout brings one that CMake refuses.
own() {
  local cache=$build/CMakeCache.txt tool
  grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$here" "$cache" 2>/dev/null || return 1
  grep -qxF "CMAKE_CACHEFILE_DIR:INTERNAL=$build" "$cache" || return 1
  for tool in CMAKE_CXX_COMPILER CMAKE_MAKE_PROGRAM; do
    [ -x "$(sed -n "s/^$tool:[^=]*=//p" "$cache")" ] || return 1
  done
}

configured() {
  own || return 1
  [ -e "$build/build.ninja" ] || [ -e "$build/Makefile" ] || return 1
  [ -e "$output/kernels.list" ] || return 1 # written by CMake itself
  local setting
  for setting in "${settings[@]}"; do
    grep -qxF "${setting#-D}" "$build/CMakeCache.txt" || return 1
  done
}

if ! configured; then
  own || rm -rf "$build/CMakeCache.txt" "$build/CMakeFiles" "$build/build.ninja" "$build/Makefile"
  generator=()
  if ! [ -e "$build/CMakeCache.txt" ] && command -v ninja >/dev/null; then
    generator=(-G Ninja)
  fi
  cmake -S "$here" -B "$build" ${generator[@]+"${generator[@]}"} -DCMAKE_BUILD_TYPE= "${settings[@]}" >"$log" 2>&1 \
    || failed "CMake cannot configure the kernels"
fi
cmake --build "$build" --target "$target" --parallel "$(getconf _NPROCESSORS_ONLN)" >"$log" 2>&1 \
  || failed "the kernels do not compile or their tests fail (GROUPREDUCE_KERNELS=skip builds without them)"
if [ "$target" = fatbin ]; then
  sed -n 's/^GROUPREDUCE_LEFT_OUT:INTERNAL=\(..*\)/\1./p' "$build/CMakeCache.txt"
fi
