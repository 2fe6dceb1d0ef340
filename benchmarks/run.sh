#!/usr/bin/env bash
# Runs benchmarks. Usage:
#   benchmarks/run.sh                        the steps against OpenBLAS, in turn in one process, as a Markdown table
#   benchmarks/run.sh --smoke                every benchmark once and briefly: do they still run?
#   benchmarks/run.sh jmh ARGUMENTS          JMH with its own arguments, for instance: jmh -p threads=1 gram
#   benchmarks/run.sh java CLASS ARGUMENTS   any class here, for instance: java io.groupreduce.benchmarks.SyntheticModel
# Quality, for a FOLDER with model.safetensors, counts.tsv and hidden.safetensors (with targets), such as the demo model in java/cli:
#   benchmarks/run.sh java io.groupreduce.benchmarks.QualityCurves FOLDER   what each method costs at the same bytes
#   benchmarks/run.sh java io.groupreduce.benchmarks.Ablation FOLDER        what each ingredient is worth at the same bytes
#   benchmarks/run.sh java io.groupreduce.benchmarks.QualityChart TABLE.md PICTURE.svg   draws what QualityCurves wrote anew
# the first two with [--title TEXT] [--name NAME] [--epochs E] [--out DIR] [--quick]; Ablation with [--ratio R]
# The fused softmax against OpenBLAS, ONNX Runtime and dense heads; CACHE is a folder where matrices and heads are kept (15 GB):
#   benchmarks/run.sh head SECTION... --cache CACHE      SECTION: prepare kernels heads factors perplexity pruning requests scaling
# [--sizes 151936x1024,...] [--model FOLDER] [--heads rate-distortion@26,...] [--peers LIST|none] [--batches 1,4,...] [--threads 1,2]
# [--ranks 64,...] [--codecs f32,...] [--rounds R] [--seconds PER-CELL] [--pruning auto|off|always] [--flush MEGABYTES]
# [--read MEGABYTES] [--warm-up SECONDS]; --flush reads so much between two timed calls, so that each begins with cold caches
#   benchmarks/run.sh java io.groupreduce.benchmarks.OnnxHeads FOLDER   output layers in ONNX Runtime
#   benchmarks/run.sh java io.groupreduce.benchmarks.head.PeerCheck   do the peers compute what they are compared for?
# benchmarks/whole_run.py compares whole compressions as processes; benchmarks/gpu.sh tests and measures an NVIDIA card.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
# shellcheck source=../java/find-jdk.sh
. "$root/java/find-jdk.sh"
jdk=$(find_jdk)
[ -n "$jdk" ] || { echo "JDK 25 is needed; install it or set JAVA_HOME to it." >&2; exit 3; }

stamp=$here/target/run-built
if ! [ -e "$stamp" ] || ! ls "$here"/target/lib/groupreduce-benchmarks-*.jar >/dev/null 2>&1 \
  || [ -n "$(find "$root"/pom.xml "$root"/java/{core,vector,cuda,models,cli,testkit}/pom.xml "$here/pom.xml" "$root"/java/{core,vector,cuda,models,cli,testkit}/src/main \
    "$here/src" "$root"/native/{CMakeLists.txt,build.sh,include,kernels} "$root"/cmake \
    -newer "$stamp" -print)" ]; then
  echo "building the benchmarks" >&2
  # The stamp is as old as the start of the build: a source that changes during it is built again.
  mkdir -p "$here/target"
  rm -f "$stamp"
  touch "$stamp.new"
  (cd "$root" && JAVA_HOME=$jdk mvn -B -q -DskipTests -Dspotless.check.skip=true -pl benchmarks -am package >&2)
  mv "$stamp.new" "$stamp"
fi

commit=$(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo unknown)
if [ -n "$(git --no-optional-locks -C "$root" status --porcelain -- java pom.xml benchmarks/src 2>/dev/null)" ]; then
  commit="$commit with uncommitted changes"
fi

run() {
  "$jdk/bin/java" "-Dgroupreduce.commit=$commit" --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED -cp "$here/target/lib/*" "$@"
}

case ${1:-} in
  --smoke)
    folder=$(mktemp -d "${TMPDIR:-/tmp}/groupreduce-benchmarks.XXXXXX")
    trap 'rm -rf "$folder"' EXIT
    run io.groupreduce.benchmarks.StepComparison 1
    demo=$root/java/cli/src/main/resources/io/groupreduce/cli/demo
    run io.groupreduce.benchmarks.QualityCurves "$demo" --quick
    run io.groupreduce.benchmarks.Ablation "$demo" --quick
    run io.groupreduce.benchmarks.OnnxHeads "$demo" --quick
    run io.groupreduce.benchmarks.head.PeerCheck
    run io.groupreduce.benchmarks.head.HeadComparison prepare kernels heads factors perplexity pruning requests scaling --cache "$folder" --sizes 2000x64 \
      --ranks 16 --codecs int8,int4 --heads rate-distortion@6.6 --batches 4 --threads 2 --rounds 1 --seconds 0 --warm-up 0 --read 64
    run org.openjdk.jmh.Main -f 0 -wi 0 -i 1 -r 100ms -p threads=2 -p size=2000x64 -p batch=4 -p codec=INT8 -v SILENT
    # No card is needed for this: the stand-in driver of the tests runs the same kernels, as slowly as a processor does.
    emulation=$root/java/cuda/target/emulation
    if [ -e "$emulation/libcuda.so.1" ]; then
      run "-Dgroupreduce.cuda.libraries=$emulation" "-Dgroupreduce.cuda.kernels=$emulation" \
        io.groupreduce.benchmarks.gpu.GpuComparison --small
    else
      echo "the GPU benchmarks are skipped: no stand-in driver in $emulation"
    fi
    echo "every benchmark ran"
    ;;
  jmh) shift; run org.openjdk.jmh.Main "$@" ;;
  java) shift; run "$@" ;;
  head) shift; run io.groupreduce.benchmarks.head.HeadComparison "$@" ;;
  *) run io.groupreduce.benchmarks.StepComparison "$@" ;;
esac
