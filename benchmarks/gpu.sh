#!/usr/bin/env bash
# Tests and benchmarks on a GPU server. It needs no network there: pack a kit where Maven and nvcc are, carry it over, run it.
#   benchmarks/gpu.sh pack KIT [--runtime]    builds everything and fills the folder KIT: jars (kernels inside), this script, the PyTorch
#                                             peer; --runtime adds a Java runtime made by jlink, so that the server needs no JDK
#   KIT/gpu.sh [OPTIONS]                      every test on the card, then the figures, the most important first, all in within 9 minutes
#       --quick          within 4 minutes: the tests of answers and compressions, then the three figures that matter most
#       --limit SECONDS  another limit; what would not be ready by then is not begun, and named
#       --java HOME      a JDK 25 or a runtime image; otherwise KIT/runtime, JAVA_HOME or what is installed
#       --python PROGRAM a Python with PyTorch, which may bring cuBLAS and cuSOLVER too; otherwise python3
#       --tests | --benchmarks                only these
#       --only A,B,...   only these sections of the figures: query kernels compress heads gram eigen torch more
#       --small          figures of small sizes: does everything run?
#       --sanitize TOOL  the tests under compute-sanitizer, without limit and figures: memcheck or initcheck of all kernels, racecheck or synccheck
#                        of this project's own
#       --out FILE       all that is printed goes there too, line by line, so that a run cut short still tells something; the log of the tests goes
#                        to FILE.log
# In a checkout, benchmarks/gpu.sh OPTIONS packs a kit under benchmarks/target/gpu-kit first. Exit codes: 0 done, 1 a test failed or was skipped,
# 2 an option is wrong, 3 the machine or the card is not fit for it. GROUPREDUCE_JAVA_OPTIONS are passed to Java, for instance
# -Dgroupreduce.cuda.libraries=FOLDER where cuBLAS and cuSOLVER are in a place of their own. The card is the first of CUDA_VISIBLE_DEVICES.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# When it all began, packing included.
begun=${GROUPREDUCE_BEGUN:-$(date +%s)}

fail() {
  echo "gpu.sh: $1" >&2
  exit "${2:-3}"
}

pack() {
  local kit=${1:-} root
  [ -n "$kit" ] || fail "pack needs the folder of the kit: benchmarks/gpu.sh pack KIT"
  root=$(dirname "$here")
  [ -f "$root/pom.xml" ] || fail "pack works in a checkout only, and $here lies in none."
  # shellcheck source=../java/find-jdk.sh
  . "$root/java/find-jdk.sh"
  local jdk version
  jdk=$(find_jdk)
  [ -n "$jdk" ] || fail "JDK 25 is needed to build; install it or set JAVA_HOME to it."
  command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ] || fail "nvcc is needed to build the kernels; install the CUDA toolkit 12.0 or newer."
  mkdir -p "$kit/lib"
  kit=$(cd "$kit" && pwd -P)
  rm -f "$kit"/lib/*.jar
  version=$(sed -n 's:.*<junit.version>\(.*\)</junit.version>.*:\1:p' "$root/pom.xml")
  (
    cd "$root"
    export JAVA_HOME=$jdk GROUPREDUCE_ARCHITECTURES=all
    mvn -B -q -DskipTests -Dspotless.check.skip=true -pl java/cuda,benchmarks -am package
    mvn -B -q -N dependency:copy "-Dartifact=org.junit.platform:junit-platform-console-standalone:$version" "-DoutputDirectory=$kit/lib"
  )
  cp "$root"/java/{core,testkit,vector,cuda}/target/groupreduce-*.jar "$root"/benchmarks/target/lib/groupreduce-benchmarks-*.jar "$kit/lib"
  "$jdk/bin/jar" --create --file "$kit/lib/groupreduce-cuda-tests.jar" -C "$root/java/cuda/target/test-classes" .
  local name
  for name in jackson-annotations jackson-core jackson-databind jcublas jcuda jcuda-natives jcusolver ojalgo; do
    cp "$root"/benchmarks/target/lib/$name-[0-9]*.jar "$kit/lib"
  done
  only_driver "$jdk" "$kit"/lib/jcuda-natives-*.jar
  "$jdk/bin/jar" --list --file "$(ls "$kit"/lib/groupreduce-cuda-[0-9]*.jar)" | grep '\.fatbin$' >/dev/null \
    || fail "the jar has no kernels although nvcc is there; see what the build of java/cuda says."
  cp "$here/gpu.sh" "$here/peers/gpu_torch.py" "$kit"
  {
    git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown
  } >"$kit/commit"
  if [ "${2:-}" = --runtime ]; then
    rm -rf "$kit/runtime"
    # jdk.zipfs: JUnit looks into jars with it.
    "$jdk/bin/jlink" --output "$kit/runtime" --strip-debug --no-header-files --no-man-pages --compress zip-9 \
      --add-modules java.base,java.logging,java.management,java.xml,jdk.incubator.vector,jdk.management,jdk.unsupported,jdk.zipfs
  fi
  echo "packed $(du -sh "$kit" | cut -f1) in $kit; on the server run $(basename "$kit")/gpu.sh" >&2
}

# only_driver JDK JAR: of JCuda's natives the driver's are used; the others are most of a kit.
only_driver() {
  local files=$2.files
  rm -rf "$files"
  mkdir "$files"
  (cd "$files" && "$1/bin/jar" --extract --file "$2" lib)
  find "$files" -type f ! -name 'libJCudaDriver-*' -delete
  "$1/bin/jar" --create --file "$2" -C "$files" lib
  rm -r "$files"
}

java_home() {
  local home
  for home in "$java" "$here/runtime" "${JAVA_HOME:-}" /usr/lib/jvm/*25*; do
    if [ -n "$home" ] && [ -x "$home/bin/java" ] && "$home/bin/java" -version 2>&1 | grep -q 'version "25'; then
      echo "$home"
      return
    fi
    [ -z "$java" ] || fail "there is no Java 25 in $java."
  done
  fail "Java 25 was not found; give it with --java HOME, or pack the kit with --runtime."
}

if [ "${1:-}" = pack ]; then
  shift
  pack "$@"
  exit
fi
if ! [ -d "$here/lib" ]; then
  pack "$here/target/gpu-kit"
  GROUPREDUCE_BEGUN=$begun exec "$here/target/gpu-kit/gpu.sh" "$@"
fi

java='' python='' tests=yes benchmarks=yes quick='' small='' limit='' sanitize='' out='' only=''
while [ $# -gt 0 ]; do
  case $1 in
    --tests) benchmarks='' ;;
    --benchmarks) tests='' ;;
    --quick) quick=yes ;;
    --small) small=--small ;;
    --java | --python | --sanitize | --out | --only | --limit)
      [ $# -gt 1 ] || fail "$1 needs a value; the head of this script lists the options." 2
      case $1 in
        --java) java=$2 ;;
        --python) python=$2 ;;
        --sanitize) sanitize=$2 ;;
        --out) out=$2 ;;
        --only) only=$2 ;;
        --limit) limit=$2 ;;
      esac
      shift
      ;;
    *) fail "the option $1 is unknown; the head of this script lists them." 2 ;;
  esac
  shift
done
case $sanitize in
  '' | memcheck | racecheck | initcheck | synccheck) ;;
  *) fail "--sanitize takes memcheck, racecheck, initcheck or synccheck, not '$sanitize'." 2 ;;
esac
if [ -n "$quick" ]; then
  only=${only:-query,kernels,compress}
  limit=${limit:-240}
fi
limit=${limit:-540}
[[ $limit =~ ^[1-9][0-9]{0,5}$ ]] || fail "--limit takes a number of seconds, not '$limit'." 2
if [ -n "$sanitize" ]; then
  benchmarks='' limit=999999
fi
home=$(java_home)
[ -z "$python" ] || command -v "$python" >/dev/null || fail "$python cannot be run; --python takes a Python."
python=$(command -v "${python:-python3}" || true)
if [ -n "$python" ] && prefix=$("$python" -c 'import sys; print(sys.prefix)' 2>/dev/null); then
  # Where the libraries of its wheels are looked for.
  export VIRTUAL_ENV=$prefix
fi
folder=$(mktemp -d "${TMPDIR:-/tmp}/groupreduce-gpu.XXXXXX")
trap 'rm -rf "$folder"' EXIT
[ -z "$out" ] || : >"$out" || fail "$out cannot be written."
# JCuda puts its library into the temporary folder under a fixed name: a folder of our own keeps users apart.
flags=(--add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED "-Djava.io.tmpdir=$folder"
  "-Dgroupreduce.commit=$(cat "$here/commit")" -Dgroupreduce.test.device=gpu)
# shellcheck disable=SC2206 # the options are several words
flags+=(${GROUPREDUCE_JAVA_OPTIONS:-})

# Prints, and keeps, what comes in.
keep() {
  if [ -n "$out" ]; then tee -a "$out"; else cat; fi
}

# within SECONDS COMMAND...: 124 or 137 where it took longer.
within() {
  timeout --kill-after=5 "$@"
}

elapsed() {
  echo $(($(date +%s) - begun))
}

# The command that starts compute-sanitizer, in front of Java's.
sanitizer() {
  local program
  for program in "$(command -v compute-sanitizer || true)" "${CUDA_HOME:-/usr/local/cuda}/bin/compute-sanitizer"; do
    if [ -n "$program" ] && [ -x "$program" ]; then
      # A driver's refusal is no error here: tests provoke some, and looking for a kernel in the wrong file is another. Java checks them all.
      wrapper=("$program" --tool "$sanitize" --error-exitcode 9 --target-processes all --launch-timeout 0 --report-api-errors no)
      # How NVIDIA's kernels share memory among threads is theirs; what they read and write is what we gave them.
      case $sanitize in
        racecheck | synccheck) wrapper+=(--kernel-name kns=gr_) ;;
      esac
      return
    fi
  done
  fail "compute-sanitizer was not found on the PATH or in CUDA_HOME; it comes with the CUDA toolkit."
}

# How many tests ended so.
count() {
  grep -c "> .* > .* :: $1$" "$2" || true
}

# Leaves in tested what is wrong with the tests; nothing where all passed.
run_tests() {
  local log=${out:+$out.log} code=0 wrapper=() chosen=() path='' jar seconds state
  log=${log:-$folder/tests.log}
  [ -z "$sanitize" ] || sanitizer
  # The figures keep at least half of the time.
  seconds=$((limit - $(elapsed)))
  [ -z "$benchmarks" ] || seconds=$((seconds / 2))
  [ "$seconds" -gt 0 ] || seconds=1
  # Class path without the console itself, which is started from its own jar.
  for jar in "$here"/lib/*.jar; do
    case $jar in
      *junit-platform-console-standalone*) ;;
      *) path=$path${path:+:}$jar ;;
    esac
  done
  [ -z "$quick" ] || chosen=(--exclude-tag long --include-classname '.*\.(CudaInferenceTest|CudaCompressionTest|RatingContractTest|RightContractTest|KernelTest)')
  # All but those that are about the stand-in driver; those that need no card run too, so that none can be forgotten.
  within "$seconds" ${wrapper[@]+"${wrapper[@]}"} "$home/bin/java" "${flags[@]}" -jar "$(ls "$here"/lib/junit-platform-console-standalone-*.jar)" \
    execute --fail-if-no-tests --disable-banner --details=testfeed --disable-ansi-colors --class-path "$path" \
    --scan-class-path "$here/lib/groupreduce-cuda-tests.jar" --exclude-tag emulated ${chosen[@]+"${chosen[@]}"} >"$log" 2>&1 || code=$?
  grep -E '^\[ +[0-9]+ tests (found|skipped|aborted|successful|failed)|^========= .*SUMMARY' "$log" || tail -n 4 "$log"
  case $code in
    0) ;;
    124 | 137) tested="the tests were cut short after $seconds s, $(count SUCCESSFUL "$log") passed and $(count FAILED "$log") failed by then" ;;
    *) tested="tests failed on the card (exit code $code)" ;;
  esac
  if [ -z "$tested" ]; then
    for state in 'tests skipped' 'tests aborted' 'containers skipped' 'containers aborted'; do
      grep -qE "^\[ +0 $state" "$log" || tested="there are $state, which on a GPU server must not be"
    done
  fi
  if [ -n "$tested" ] && [ -z "$out" ]; then cat "$log" >&2; fi
  echo "Tests ${quick:+of answers and compressions }on the card: ${tested:-all passed}, $(elapsed) s after the start."
  echo
}

tested='' code=0
if [ -n "$tests" ]; then
  # Not in a pipe: it sets a variable.
  run_tests > >(keep)
  wait $!
fi
if [ -n "$benchmarks" ]; then
  [ -z "$tested" ] || echo "**The figures below are of kernels whose tests did not all pass.**" | keep
  seconds=$((limit - $(elapsed)))
  [ "$seconds" -gt 0 ] || fail "nothing of the $limit s is left for the figures."
  within "$seconds" "$home/bin/java" "${flags[@]}" -cp "$here/lib/*" io.groupreduce.benchmarks.gpu.GpuComparison --begun "$begun" \
    --limit "$((limit - 5))" $small ${only:+--only "$only"} ${python:+--torch "$python" "$here/gpu_torch.py"} > >(keep) || code=$?
  wait $!
  case $code in
    124 | 137) echo "Cut short $limit s after the start." | keep ;;
  esac
fi
case $code in
  0) ;;
  2 | 3) exit "$code" ;;
  *) fail "the figures are not complete; what is above says why." 1 ;;
esac
[ -z "$tested" ] || fail "$tested; the log ${out:+in $out.log }says which." 1
