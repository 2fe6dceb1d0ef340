#!/usr/bin/env python3
"""The paper's GroupReduce in NumPy: the peer of a whole compression. Reads MATRIX.npy and a counts file (one count a line).

usage: groupreduce_numpy.py MATRIX.npy COUNTS.txt [--ratio R] [--groups C] [--min-rank K] [--refine ROUNDS] [--double]

Same steps and stopping rules as `groupreduce compress --method groupreduce --unit parameters`, written the way one writes NumPy:
matrix products in OpenBLAS (binary32, or binary64 with --double), eigenvectors by LAPACK, everything in memory. Only the
D x D Gram matrices are factored: with row weights w the best rank-k factors of W^(1/2) A are V = leading eigenvectors of
A^T W A and U = A V. Prints one JSON line."""
import argparse
import json
import time

import numpy as np


def equal_mass_groups(counts, groups):
    mass = counts + 1.0
    order = np.argsort(-counts, kind="stable")
    before = np.concatenate([[0.0], np.cumsum(mass[order])[:-1]])
    group = np.empty(len(counts), np.int64)
    group[order] = np.minimum(groups - 1, np.floor(groups * before / mass.sum()).astype(np.int64))
    return group


def size(n, d, k):
    return n * d if k < 0 else k * (n + d)


def rank_or_dense(n, d, k):
    return -1 if k * (n + d) >= n * d else k


def paper_ranks(sizes, means, d, budget, min_rank):
    """In proportion to the mean count, the largest proportion that fits; the rest to the most frequent group first."""

    def at(scale, least):
        return [
            0 if n == 0 else rank_or_dense(n, d, int(min(d, n, max(least, np.floor(scale * m)))))
            for n, m in zip(sizes, means)
        ]

    def total(ranks):
        return sum(size(n, d, k) for n, k in zip(sizes, ranks) if n)

    least = min_rank
    while least > 0 and total(at(0, least)) > budget:
        least -= 1
    low, high = 0.0, 2.0 * d / min(m for m in means if m > 0)
    if total(at(high, least)) <= budget:
        return at(high, least)
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if total(at(middle, least)) <= budget else (low, middle)
    ranks = at(low, least)
    left = budget - total(ranks)
    for p in np.argsort(-np.asarray(means), kind="stable"):
        while sizes[p] and ranks[p] >= 0:
            more = rank_or_dense(sizes[p], d, ranks[p] + 1)
            cost = size(sizes[p], d, more) - size(sizes[p], d, ranks[p])
            if cost > left:
                break
            left -= cost
            ranks[p] = more
    return ranks


def compress(matrix, counts, args):
    n, d = matrix.shape
    dtype = np.float64 if args.double else np.float32
    weights = counts + 1.0
    scaled = (weights / weights.mean()).astype(dtype)
    group = equal_mass_groups(counts, args.groups)
    budget = int(n * d // args.ratio)
    norms = np.einsum("ij,ij->i", matrix, matrix)
    best = None
    for round_ in range(args.refine + 1):
        sizes = np.bincount(group, minlength=args.groups)
        means = [weights[group == p].mean() if sizes[p] else 0.0 for p in range(args.groups)]
        ranks = paper_ranks(sizes.tolist(), means, d, budget, args.min_rank)
        vectors, loss = [], 0.0
        for p, k in enumerate(ranks):
            if k <= 0:
                vectors.append(None)
                if k == 0 and sizes[p]:
                    rows = group == p
                    loss += float((scaled[rows] * norms[rows]).sum())
                continue
            rows = matrix[group == p]
            gram = (rows * scaled[group == p, None]).T @ rows
            values, basis = np.linalg.eigh(gram)
            vectors.append(np.ascontiguousarray(basis[:, : -k - 1 : -1]))
            loss += float(np.maximum(values[: d - k], 0).sum())
        if best is None or loss < best[0] * (1 - 1e-9):
            best = (loss, group.copy(), ranks, vectors, round_)
        if round_ == args.refine:
            break
        error = np.full((n, args.groups), np.inf, dtype)
        for p, k in enumerate(ranks):
            if sizes[p] == 0:
                continue
            if k < 0:
                error[:, p] = 0
            elif k == 0:
                error[:, p] = scaled * norms
            else:
                error[:, p] = scaled * np.maximum(0, norms - np.square(matrix @ vectors[p]).sum(1))
        target = error.argmin(1)
        gain = error[np.arange(n), group] - error[np.arange(n), target]
        top = np.argsort(-gain, kind="stable")[: int(0.1 * n)]
        top = top[gain[top] > 1e-12 * loss]
        if len(top) == 0:
            break
        group = group.copy()
        group[top] = target[top]
    loss, group, ranks, vectors, kept = best
    factors = []
    for p, k in enumerate(ranks):
        rows = matrix[group == p]
        factors.append((rows.copy(), None) if k < 0 else (rows @ vectors[p], vectors[p].T) if k > 0 else None)
    energy = float((scaled * norms).sum())
    return factors, ranks, group, np.sqrt(loss / energy), kept


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("matrix")
    parser.add_argument("counts")
    parser.add_argument("--ratio", type=float, default=6.6)
    parser.add_argument("--groups", type=int, default=5)
    parser.add_argument("--min-rank", type=int, default=5)
    parser.add_argument("--refine", type=int, default=10)
    parser.add_argument("--double", action="store_true")
    args = parser.parse_args()
    begun = time.perf_counter()
    matrix = np.load(args.matrix)
    if args.double:
        matrix = matrix.astype(np.float64)
    counts = np.loadtxt(args.counts, dtype=np.int64)
    _, ranks, group, error, kept = compress(matrix, counts, args)
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - begun,
                "relativeError": error,
                "ranks": ranks,
                "sizes": np.bincount(group, minlength=args.groups).tolist(),
                "keptRound": kept,
            }
        )
    )


if __name__ == "__main__":
    main()
