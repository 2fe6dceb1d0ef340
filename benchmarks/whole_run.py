#!/usr/bin/env python3
"""Whole compressions side by side, as processes: this software and the NumPy peer on the same file, in turn.

usage: whole_run.py ROWS COLUMNS [--runs N] [--folder DIR] [--no-peer] [--double] [-- EXTRA OPTIONS OF groupreduce compress]

Makes a seeded matrix (power-law spectrum, Zipf counts) unless DIR has it already, then alternates `./groupreduce compress` and
peers/groupreduce_numpy.py, both with the size counted in parameters (`--unit parameters`), as the peer does. Prints a Markdown
table: wall-clock seconds from process start to exit (median, least, most), CPU seconds, and the peak of anonymous memory, which
is heap plus off-heap without the page cache (Linux, sampled from /proc/PID/status). Needs Python 3 and, for the peer, NumPy."""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent


def descendants(pid):
    found = [pid]
    for at in found:
        try:
            for task in os.listdir(f"/proc/{at}/task"):
                found += [int(c) for c in open(f"/proc/{at}/task/{task}/children").read().split()]
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def anonymous_bytes(pid):
    total = 0
    for at in descendants(pid):
        try:
            for line in open(f"/proc/{at}/status"):
                if line.startswith("RssAnon"):
                    total += 1024 * int(line.split()[1])
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total


def run(command):
    """Runs to the end; wall seconds, CPU seconds, peak anonymous bytes, the JSON document it printed."""
    before = os.times()
    begun = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen([str(c) for c in command], stdout=out)
        peak = 0
        while process.poll() is None:
            peak = max(peak, anonymous_bytes(process.pid))
            time.sleep(0.02)
        wall = time.perf_counter() - begun
        after = os.times()
        if process.returncode:
            sys.exit(f"{command[0]} ended with {process.returncode}")
        out.seek(0)
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        return wall, cpu, peak, json.loads(out.read())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=int)
    parser.add_argument("columns", type=int)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=pathlib.Path)
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--double", action="store_true", help="the peer in binary64, as an untuned script would")
    own, extra = (sys.argv[1:], [])
    if "--" in own:
        cut = own.index("--")
        own, extra = own[:cut], own[cut + 1 :]
    args = parser.parse_args(own)
    folder = args.folder or pathlib.Path(tempfile.gettempdir()) / f"groupreduce-{args.rows}x{args.columns}"
    if not (folder / "counts.txt").exists():
        print(f"making {folder}", file=sys.stderr)
        main_class = "io.groupreduce.benchmarks.SyntheticModel"
        maker = [HERE / "run.sh", "java", main_class, folder, str(args.rows), str(args.columns), "42"]
        subprocess.run(maker, check=True)
    ours = [ROOT / "groupreduce", "compress", folder / "matrix.npy", "-o", folder / "out.safetensors"]
    method = [] if "--method" in extra else ["--method", "groupreduce"]
    ours += ["--counts", folder / "counts.txt", "--unit", "parameters", "--force", "--json", *method, *extra]
    peer = [sys.executable, HERE / "peers" / "groupreduce_numpy.py", folder / "matrix.npy", folder / "counts.txt"]
    if args.double:
        peer.append("--double")
    contestants = {"groupreduce": ours}
    if not args.no_peer:
        contestants["NumPy with OpenBLAS" + (", binary64" if args.double else ", binary32")] = peer
    results = {name: [] for name in contestants}
    for _ in range(args.runs):
        for name, command in contestants.items():
            results[name].append(run(command))
    print(f"{args.rows} x {args.columns} F32, {args.runs} runs in turn, {os.cpu_count()} cores\n")
    print("| | wall s, median (least-most) | CPU s | peak anonymous MB | count-weighted relative error |")
    print("|---|---|---|---|---|")
    for name, found in results.items():
        walls = [f[0] for f in found]
        document = found[-1][3]
        error = document.get("relativeError") or document["tensors"][0]["relativeError"]
        print(
            f"| {name} | {statistics.median(walls):.2f} ({min(walls):.2f}-{max(walls):.2f}) "
            f"| {statistics.median(f[1] for f in found):.1f} | {max(f[2] for f in found) / 1e6:.0f} | {error:.4f} |"
        )
    if len(results) == 2:
        first, second = results.values()
        ratios = [b[0] / a[0] for a, b in zip(first, second)]
        print(f"\nratio peer / groupreduce, run by run: median {statistics.median(ratios):.2f} "
              f"({min(ratios):.2f}-{max(ratios):.2f})")


if __name__ == "__main__":
    main()
