#!/usr/bin/env python3
"""PyTorch on the same card, for benchmarks/gpu.sh: one JSON request a line on standard input, one JSON answer a line.

{"op": "hello"}                                             -> {"torch": version, "card": name}, or {"error": why it cannot}
{"op": "softmax", "rows": N, "columns": D, "batch": B, "k": K, "repeats": R}
    dense BF16 head: logits = h W^T, log-sum-exp in binary32, top-k    -> {"milliseconds": [...]}
{"op": "eigh", "columns": D, "count": C, "repeats": R}      batched torch.linalg.eigh in FP64
{"op": "gram", "rows": N, "columns": D, "double": bool, "repeats": R}    A^T A
{"op": "svd_lowrank", "rows": [n_1, ...], "columns": D, "ranks": [k_1, ...], "repeats": R}    torch.svd_lowrank of every group in turn
Times are taken with events on the card; between two softmax calls a buffer larger than the L2 cache is written.
"""
import json
import sys

try:
    import torch

    CARD = torch.device("cuda")
    FLUSH = torch.empty(256 << 20, dtype=torch.uint8, device=CARD)
except (ImportError, RuntimeError, AssertionError) as problem:
    sys.stdin.readline()
    print(json.dumps({"error": f"{sys.executable}: {problem}".splitlines()[0]}), flush=True)
    sys.exit(0)
kept = {}


def normal(key, shape, dtype):
    """A random matrix that stays for the requests to come; any other of its kind is let go first."""
    name = key[0]
    if kept.get(name, (None,))[0] != key:
        kept.pop(name, None)
        generator = torch.Generator(device=CARD).manual_seed(42)
        kept[name] = (key, torch.randn(shape, generator=generator, device=CARD, dtype=torch.float32).to(dtype))
    return kept[name][1]


def timed(work, repeats, flush=False):
    for _ in range(2):
        work()
    times = []
    for _ in range(repeats):
        if flush:
            FLUSH.zero_()
        begun, ended = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begun.record()
        work()
        ended.record()
        ended.synchronize()
        times.append(begun.elapsed_time(ended))
    return {"milliseconds": times}


def softmax(request):
    rows, columns, batch = request["rows"], request["columns"], request["batch"]
    weight = normal(("weight", rows, columns), (rows, columns), torch.bfloat16)
    hidden = normal(("hidden", batch, columns), (batch, columns), torch.bfloat16)

    def work():
        logits = hidden @ weight.T
        torch.logsumexp(logits.float(), dim=1)
        torch.topk(logits, request["k"], dim=1)

    return timed(work, request["repeats"], flush=True)


def eigh(request):
    columns = request["columns"]
    half = normal(("half", request["count"], columns), (request["count"], columns, columns), torch.float64)
    gram = half @ half.mT
    return timed(lambda: torch.linalg.eigh(gram), request["repeats"])


def gram(request):
    dtype = torch.float64 if request["double"] else torch.float32
    matrix = normal(("matrix", request["rows"], request["columns"], dtype), (request["rows"], request["columns"]), dtype)
    return timed(lambda: matrix.T @ matrix, request["repeats"])


def svd_lowrank(request):
    columns = request["columns"]
    rows = request["rows"]
    matrix = normal(("matrix", sum(rows), columns, torch.float32), (sum(rows), columns), torch.float32)
    parts = list(zip(torch.split(matrix, rows), request["ranks"]))

    def work():
        for part, rank in parts:
            torch.svd_lowrank(part, q=rank)

    return timed(work, request["repeats"])


OPERATIONS = {"softmax": softmax, "eigh": eigh, "gram": gram, "svd_lowrank": svd_lowrank}


def main():
    torch.backends.cuda.matmul.allow_tf32 = False
    for line in sys.stdin:
        request = json.loads(line)
        if request["op"] == "hello":
            answer = {"torch": torch.__version__, "card": torch.cuda.get_device_name()}
        else:
            try:
                answer = OPERATIONS[request["op"]](request)
            except torch.cuda.OutOfMemoryError:
                kept.clear()
                torch.cuda.empty_cache()
                answer = {"error": "out of memory"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
