#!/usr/bin/env python3
"""The paper's methods on a real language model, against an independent implementation in NumPy.

usage: ptb.py FOLDER [--launcher PATH]

FOLDER holds a two-layer LSTM language model of the Penn Treebank (200 units, 10,000 words): `model.safetensors` with
`softmax.weight`, `counts.tsv`, and `hidden.safetensors` with the softmax's inputs for 20,000 validation tokens. The expected
numbers below are the table in the README beside that model: ranks, count-weighted relative error and perplexity of a NumPy reference
with the same conventions (sizes in parameters, F32 factors). Without refinement ranks and group sizes must be equal, and error
and perplexity equal as far as the table's digits go. Refinement sorts gains that rounding can swap, so there error and
perplexity only must not be worse by more than a margin. Prints Markdown; exit code 1 when a row fails. Needs Python 3 only."""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
TENSOR = "softmax.weight"
DENSE = -1

DENSE_PERPLEXITY = 147.07
SIZES = [5, 21, 165, 952, 8857]
RATIOS = ["2", "4", "6.6", "10", "20"]
ONE_GROUP_RANKS = [[98], [49], [29], [19], [9]]
# Method, rounds of refinement; then a value a ratio: ranks (None: not comparable), count-weighted relative error, perplexity.
EXPECTED = [
    ("svd", 0, ONE_GROUP_RANKS, [0.4847, 0.6652, 0.7529, 0.7921, 0.8599], [151.89, 180.97, 230.03, 273.13, 370.24]),
    ("weighted-svd", 0, ONE_GROUP_RANKS, [0.2892, 0.4415, 0.5339, 0.5986, 0.6947], [150.63, 185.78, 249.27, 314.55, 515.57]),
    (
        "groupreduce",
        0,
        [
            [DENSE, DENSE, DENSE, DENSE, 85],
            [DENSE, DENSE, DENSE, DENSE, 29],
            [DENSE, DENSE, DENSE, 127, 13],
            [DENSE, DENSE, DENSE, 77, 8],
            [DENSE, DENSE, 88, 15, 5],
        ],
        [0.1084, 0.1690, 0.2329, 0.2897, 0.4102],
        [147.47, 152.92, 161.98, 172.87, 218.98],
    ),
    ("groupreduce", 10, None, [0.0641, 0.1371, 0.2302, 0.2795, 0.4102], [147.81, 154.67, 167.52, 175.77, 218.98]),
]

# Half a unit of the table's last digit, and as much again for binary32 against the reference's arithmetic.
ERROR_TOLERANCE = 1e-4
PERPLEXITY_TOLERANCE = 0.02
# Refinement: how much worse than the reference, relatively.
REFINED_MARGIN = 0.01
# INT8 factors against F32 factors of the same ranks, relative difference of perplexity.
INT8_MARGIN = 0.005


class Bench:
    def __init__(self, launcher, model, scratch):
        self.launcher, self.model, self.scratch = launcher, model, scratch
        self.failures = 0

    def call(self, *arguments):
        done = subprocess.run([str(a) for a in (self.launcher, *arguments)], stdout=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(f"groupreduce {arguments[0]} ended with {done.returncode}")
        return json.loads(done.stdout)

    def compress(self, name, *options):
        """The file written, and the JSON entry of the softmax with its evaluation; by the paper's method unless another is named."""
        if "--method" not in options:
            options = ("--method", "groupreduce", *options)
        out = self.scratch / (name + ".safetensors")
        document = self.call(
            "compress", self.model / "model.safetensors", "-o", out, "--tensor", TENSOR, "--counts", self.model / "counts.tsv",
            "--hidden", self.model / "hidden.safetensors", "--only", "--json", *options,
        )
        return out, document["tensors"][0]

    def evaluate(self, out):
        """Perplexity and the error weighted by counts, whatever the method's own weights were, of the file as it is on disk."""
        return self.call(
            "eval", out, "--reference", self.model / "model.safetensors", "--hidden", self.model / "hidden.safetensors",
            "--counts", self.model / "counts.tsv", "--json",
        )

    def verdict(self, problems):
        self.failures += bool(problems)
        return "fail: " + ", ".join(problems) if problems else "pass"


def ranks_of(entry):
    return [DENSE if group["kind"] == "dense" else group["rank"] for group in entry["groups"]]


def sizes_of(entry):
    return [group["rows"] for group in entry["groups"]]


def words(ranks):
    return " ".join("dense" if rank == DENSE else str(rank) for rank in ranks)


def table(bench):
    print("| method | ratio | ranks | count-weighted relative error | expected | perplexity | expected | |")
    print("|---|---|---|---|---|---|---|---|")
    for method, rounds, ranks, errors, perplexities in EXPECTED:
        for at, ratio in enumerate(RATIOS):
            refine = ("--refine", rounds) if method == "groupreduce" else ()
            out, entry = bench.compress(
                f"{method}-{rounds}-{ratio}", "--unit", "parameters", "--codec", "f32", "--method", method,
                *refine, "--ratio", ratio,
            )
            found = bench.evaluate(out)
            out.unlink()
            error, perplexity = found["relativeError"], found["compressedPerplexity"]
            problems = []
            if abs(found["densePerplexity"] - DENSE_PERPLEXITY) > PERPLEXITY_TOLERANCE:
                problems.append(f"the dense perplexity is {found['densePerplexity']:.2f}")
            if entry["evaluation"]["compressedPerplexity"] != perplexity:
                problems.append("compress --hidden and eval disagree")
            if ranks is None:
                if error > errors[at] * (1 + REFINED_MARGIN):
                    problems.append("error")
                if perplexity > perplexities[at] * (1 + REFINED_MARGIN):
                    problems.append("perplexity")
            else:
                if ranks_of(entry) != ranks[at]:
                    problems.append("ranks, expected " + words(ranks[at]))
                if len(ranks[at]) > 1 and sizes_of(entry) != SIZES:
                    problems.append("group sizes")
                if abs(error - errors[at]) > ERROR_TOLERANCE:
                    problems.append("error")
                if abs(perplexity - perplexities[at]) > PERPLEXITY_TOLERANCE:
                    problems.append("perplexity")
            name = f"{method}, refined" if rounds else method
            print(
                f"| {name} | {ratio} | {words(ranks_of(entry))} | {error:.4f} | {errors[at]:.4f} "
                f"| {perplexity:.2f} | {perplexities[at]:.2f} | {bench.verdict(problems)} |",
                flush=True,
            )


def quantization(bench):
    """INT8 factors of a size in bytes, and F32 factors of as many parameters."""
    print("| method | INT8 perplexity at 23x, bytes | F32 perplexity, same parameters | difference | ranks | |")
    print("|---|---|---|---|---|---|")
    for rounds in (0, 10):
        _, small = bench.compress(f"int8-{rounds}", "--codec", "int8", "--ratio", "23", "--refine", rounds)
        _, full = bench.compress(
            f"f32-{rounds}", "--codec", "f32", "--unit", "parameters", "--size", small["parameters"], "--refine", rounds
        )
        before, after = full["evaluation"]["compressedPerplexity"], small["evaluation"]["compressedPerplexity"]
        same = ranks_of(full) == ranks_of(small) and sizes_of(full) == sizes_of(small)
        if same:
            ranks = "the same: " + words(ranks_of(small))
        else:
            ranks = f"not the same: INT8 {words(ranks_of(small))}, F32 {words(ranks_of(full))}"
        problems = [] if abs(after / before - 1) <= INT8_MARGIN else [f"more than {INT8_MARGIN:.1%}"]
        name = "groupreduce, refined" if rounds else "groupreduce"
        print(f"| {name} | {after:.2f} | {before:.2f} | {after / before - 1:+.3%} | {ranks} | {bench.verdict(problems)} |", flush=True)


def threads(bench):
    contents = []
    for count in (1, 2):
        out, _ = bench.compress(f"threads-{count}", "--ratio", "6.6", "--threads", count)
        contents.append(out.read_bytes())
    problems = [] if contents[0] == contents[1] else ["the files differ"]
    print(f"1 thread and 2 threads, groupreduce refined at 6.6x, {len(contents[0])} bytes each: {bench.verdict(problems)}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--launcher", type=pathlib.Path, default=ROOT / "groupreduce")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="groupreduce-ptb-") as scratch:
        bench = Bench(args.launcher, args.folder, pathlib.Path(scratch))
        table(bench)
        print()
        quantization(bench)
        print()
        threads(bench)
    print()
    print(f"{bench.failures} failed" if bench.failures else "all passed")
    sys.exit(bool(bench.failures))


if __name__ == "__main__":
    main()
