"""Writes golden.json beside this file: small inputs and what NumPy makes of them, in doubles and with NumPy's solvers.

ReferenceGoldenTest holds the reference backend and the codecs against it. Nothing here is translated from the Java sources: the
equations are those of the documentation of CompressionWorkspace, InferenceSession, SoftmaxComparison, BitProfile, CodeValues,
ScaleSearch and ScaleFormat.

    python3 golden.py
"""
import json
import pathlib
import struct

import numpy as np

F = np.float32
rng = np.random.default_rng(1806_06950)
out = {}


def single(values):
    """Numbers that binary32 holds, so that Java reads the same ones."""
    return np.asarray(values, F).astype(float)


def bf16(values, up=False):
    """The nearest bfloat16, ties to even, or the least not below a positive number; widened."""
    bits = np.asarray(values, F).view(np.uint32).astype(np.uint64)
    bits += 0xFFFF if up else 0x7FFF + (bits >> np.uint64(16) & np.uint64(1))
    return (bits >> np.uint64(16) << np.uint64(16)).astype(np.uint32).view(F)


# --- the compression: w, B = A S, Gram matrices, spectra, candidates, normal equations ---------------------------------------

N, D, NONE, ZERO = 23, 6, 255, 254
A = single(rng.normal(size=(N, D)) * [3, 2, 1, 0.7, 0.3, 0.1])
A[4] = single(40 * A[4])
A[9] = 0
w = single(1 / (1 + np.arange(N)) ** 0.7)
mixed = rng.normal(size=(D, D))
M = mixed @ mixed.T / D + 0.2 * np.eye(D)
values, vectors = np.linalg.eigh(M)
S = vectors @ np.diag(np.sqrt(values)) @ vectors.T
basis_of = rng.choice([0, 1, NONE], N, p=[0.5, 0.35, 0.15])
ranks = [4, 2]
out["matrix"], out["weights"], out["root"], out["rootInverse"] = A, w, S, np.linalg.inv(S)
out["basisOf"], out["ranks"] = basis_of, ranks

for name, root in (("metric", S), ("identity", np.eye(D))):
    B = A @ root
    energies = (B**2).sum(1)
    case = out[name] = {"energy": w @ energies}
    case["traces"], case["values"], case["projectors"] = [], [], []
    kept = []
    for b, k in enumerate(ranks):
        _, singular, vt = np.linalg.svd(np.sqrt(w[basis_of == b])[:, None] * B[basis_of == b])
        spectrum = np.pad(singular**2, (0, D))[:D]
        case["traces"].append(spectrum.sum())
        case["values"].append(spectrum[:k])
        # right^T projection: rows pass through it and come back; it does not feel the sign of a direction.
        case["projectors"].append(np.linalg.solve(root, vt[:k].T @ vt[:k] @ root))
        kept.append(vt)
    # Candidates: basis, rank, price.
    price = 0.05 * case["energy"] / N
    candidates = [(0, 4, price), (1, 2, 0.5 * price), (0, 1, 0), (1, 0, 0.1 * price), (NONE, 0, 3 * price)]
    objectives = np.array(
        [
            w * (0 if b == NONE else np.maximum(0, energies - ((B @ kept[b][:k].T) ** 2).sum(1))) + p
            for b, k, p in candidates
        ]
    ).T
    current = rng.integers(0, len(candidates), N)
    assert (np.diff(np.sort(objectives)[:, :2]) > 1e-6 * price).all(), "two candidates are too alike to be told apart"
    case["candidates"], case["current"], case["best"] = candidates, current, objectives.argmin(1)
    case["gain"] = objectives[np.arange(N), current] - objectives.min(1)

# --- stored rows: what a row becomes, byte by byte -----------------------------------------------------------------------------

LOG8 = np.array([0] + [2 ** ((u - 192) / 8) for u in range(1, 256)])
DEVIATION, NEAR, WIDE_BITS, MOST = 40, 64, 6, 32


def widths(profile):
    """Bits of every number, of a profile as BitProfile writes it: those of the widest, then how many have each width downwards."""
    most, counts = profile.split("x") if profile else (0, "0")
    return np.repeat(int(most) - np.arange(counts.count(".") + 1), [int(n) for n in counts.split(".")])


def level(x, bits, half):
    """The interval of width 2 half that x lies in, counted from the one above 0."""
    return np.clip(np.floor(x / (2 * half)), -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1)


def half_distance(bits):
    """Of equally distant values that have none at 0, half the distance of least squared error for a Gaussian number."""
    x = DEVIATION * np.linspace(-7, 7, 20001)
    density = np.exp(-((x / DEVIATION) ** 2) / 2)
    tried = np.arange(0.8, 40, 0.1)
    return np.rint(tried[np.argmin([density @ (x - (2 * level(x, bits, h) + 1) * h) ** 2 for h in tried])])


HALF = np.array([0] + [half_distance(bits) for bits in range(1, 8)] + [0])


def quantize(row, bits, scale):
    """Codes and values; a scale of 0 makes all numbers 0, which counts as positive where no value is 0."""
    x = row / scale if scale else np.zeros(len(row))
    wide, half = bits == 8, np.where(bits == 8, 0.5, HALF[np.minimum(bits, 8)])
    whole = np.where(wide, np.clip(np.rint(x), -127, 127) + 0.0, level(x, bits, half))  # no code is -0
    return (whole + 2.0 ** (bits - 1)).astype(int), np.where(wide, whole, (2 * whole + 1) * half)


def largest_values(bits):
    return np.where(bits == 8, 127, (2.0**bits - 1) * HALF[bits])


def scale_at_least(scale, form):
    if form == "LOG8":
        return F(LOG8[min(255, np.searchsorted(LOG8.astype(F), F(scale)))])
    return bf16(scale, up=True)[()] if form == "BF16" else F(scale)


def scale_bytes(scale, form):
    if form == "LOG8":
        return bytes([int(np.argmin(abs(LOG8 - scale)))])
    return struct.pack("<f", scale) if form == "F32" else struct.pack("<f", scale)[2:]


def clipping_nothing(row, bits):
    return (abs(row).astype(F) / largest_values(bits).astype(F)).max(initial=F(0))


def assert_clear(row, bits, scale):
    """No number is so near the border of two codes that the precision of a division decides."""
    steps = row / scale / np.where(bits == 8, 1, 2 * HALF[np.minimum(bits, 7)]) - np.where(bits == 8, 0.5, 0)
    off = abs(steps - np.rint(steps))
    assert ((off == 0) | (off > 2e-7 * abs(steps))).all(), "a number is too near the border of two codes"


def best_scale(row, bits, form, error_weights, strict):
    """
    Of scales an eighth of an octave apart, from five above the deviation's own to five below, that of the least weighted error. Of fine
    formats one is the least that clips no wide number.
    """
    near = F(np.sqrt((row[:NEAR] ** 2).mean())) / F(DEVIATION)
    deviation = max(near, F(np.sqrt((row**2).mean())) / F(DEVIATION) / F(4))
    usual = deviation * F(2 ** (5 / 8))
    wide = clipping_nothing(row[bits >= WIDE_BITS], bits[bits >= WIDE_BITS])
    above = [wide / F(2 ** (-t / 8)) for t in range(MOST)] if form != "LOG8" else [wide]
    first = max(usual, next((s for s in above if s >= usual), above[-1]))
    if form == "LOG8":
        code = int(np.argmin(abs(LOG8 - scale_at_least(first, form))))
        tried = [F(LOG8[c]) for c in range(code, max(0, code - MOST), -1)]
    else:
        tried = [first * F(2 ** (-t / 8)) for t in range(MOST)]
    tried = [scale_at_least(s, form) for t, s in enumerate(tried) if t == 0 or s >= deviation * F(2 ** (-5.5 / 8))]
    errors = [error_weights @ (row - quantize(row, bits, float(s))[1] * float(s)) ** 2 for s in tried]
    least = np.sort(errors)
    assert not strict or least[1] > least[0] * (1 + 1e-4), "two scales are too alike to be told apart"
    return float(tried[int(np.argmin(errors))])


def pack(numbers, profile, form, block, error_weights, strict=True):
    """The bytes of a row, those of its scales, and what a reader makes of them; without error weights nothing is clipped."""
    bits = widths(profile)
    if bits[0] == 32:
        return numbers.astype("<f4").tobytes(), b"", numbers
    if bits[0] == 16:
        rounded = bf16(numbers)
        return (rounded.view(np.uint32) >> 16).astype("<u2").tobytes(), b"", rounded
    codes, scales, decoded = [], b"", []
    for at in range(0, len(numbers), block):
        part = slice(at, at + block)
        row = numbers[part]
        if not row.any():
            scale = 0.0
        elif error_weights is None:
            scale = float(scale_at_least(clipping_nothing(row, bits[part]), form))
        else:
            scale = best_scale(row, bits[part], form, error_weights[part], strict)
        if strict and scale:
            assert_clear(row, bits[part], scale)
        found, values = quantize(row, bits[part], scale)
        codes += found.tolist()
        scales += scale_bytes(scale, form)
        decoded += (values.astype(F) * F(scale)).tolist()
    stream = sum(code << int(before) for code, before in zip(codes, np.cumsum(bits) - bits))
    return stream.to_bytes(int(bits.sum() + 7) // 8, "little"), scales, np.array(decoded)


WIDTH = 70
rows = single(rng.normal(size=(2, WIDTH)) * [[0.2], [3]])
rows[0, 5] *= 9
rows[1, 32:64] = 0
rows[1, 64:] *= 50  # far larger than those that count most
ties = [127, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 1 + 2**-8, 1 + 3 * 2**-8, -1 - 2**-8]  # of 8 bits at scale 1, and of bfloat16
rows = np.vstack([rows, np.append(ties, single(20 * rng.normal(size=WIDTH - len(ties))))])
counts = single(rng.uniform(0.2, 3, WIDTH))
out["rows"], out["errorWeights"], out["codecs"] = rows, counts, []
falling = ["8x2.3.0.5.10.20.20.10", "7x40.30", "6x5.0.15.0.30.20"]
for profile in ["32x70", "16x70", "8x70", "4x70", "3x70", "1x70"] + falling:
    scaled = widths(profile)[0] <= 8
    for form in ("F32", "BF16", "LOG8") if scaled else ("F32",):
        for block in (WIDTH, 32) if scaled else (WIDTH,):
            for weighted in (False, True):
                parts = [pack(row, profile, form, block, counts if weighted else None) for row in rows]
                data, scales, decoded = zip(*parts)
                kind = {"profile": profile, "scales": form, "block": block, "weighted": weighted}
                kind |= {"data": b"".join(data).hex(), "scaleData": b"".join(scales).hex()}
                if not weighted:
                    kind["decoded"] = np.array(decoded, "<f4").tobytes().hex()
                out["codecs"].append(kind)

# --- what every way to store a row loses, and the choice at a price -------------------------------------------------------------


def rounding(profile, numbers, form, error_weights):
    """The weighted squared error of numbers as they would be stored, under one scale; of two that are alike it does not matter which."""
    return error_weights @ (numbers - pack(numbers, profile, form, len(numbers), error_weights, strict=False)[2]) ** 2


ways = [(0, "8x4"), (0, "4x3"), (0, "3x2"), (0, "8x1.0.0.1.1.0.0.1"), (0, "6x1.1.1"), (0, "16x4"), (1, "32x2"), (1, "4x2"), (1, "8x1")]
ways += [(1, "2x1.1"), (NONE, "32x6"), (NONE, "16x6"), (NONE, "8x6"), (NONE, "3x6"), (NONE, "2x6"), (ZERO, "")]
out["ways"], out["wayScales"] = ways, [single([1, 1.5, 2, 3]), single([0.5, 0.75])]
out["wayBytes"] = [1 + (int(widths(profile).sum()) + 7) // 8 for _, profile in ways]
for name, root in (("metric", S), ("identity", np.eye(D))):
    case, B = out[name], A @ root
    case["projections"] = [single(np.linalg.svd(np.sqrt(w)[:, None] * B)[2][:k] @ root) for k in ranks]
    coordinates = [A @ projection.T for projection in case["projections"]]
    lost = np.zeros((N, len(ways)))
    for i in range(N):
        energy = B[i] @ B[i]
        for p, (b, profile) in enumerate(ways):
            k, coarse = len(widths(profile)), profile[:2]
            if b == ZERO:
                lost[i, p] = energy
                continue
            x = A[i] if b == NONE else coordinates[b][i, :k]
            kept = energy if b == NONE else x @ x
            scales = np.ones(D) if b == NONE else out["wayScales"][b][:k]
            if coarse == "16":
                lost[i, p] = 2.0**-18 / 3 * kept
            elif coarse != "32":
                lost[i, p] = rounding(profile, single(x * scales), "BF16" if b == NONE else "LOG8", single(1 / scales**2))
                lost[i, p] *= (root**2).sum() / D if b == NONE else 1
            lost[i, p] += max(0, energy - kept)
    lost *= w[:, None]
    price = 0.004 * case["energy"] / N
    objectives = lost + price * np.array(out["wayBytes"])
    assert (np.diff(np.sort(objectives)[:, :2]) > 1e-4 * price).all(), "two ways are too alike to be told apart"
    case["distortions"], case["price"], case["chosen"] = lost.sum(0), price, objectives.argmin(1)
    assert len(set(case["chosen"])) > 4, "rows should choose many ways"

# --- the equations of better right factors, from what was stored; and the loss of the whole --------------------------------------

plans = [(0, "8x4"), (1, "4x2"), (0, "3x2"), (0, "8x1.0.0.2.0.1"), (1, "2x1.1"), (NONE, "16x6"), (ZERO, "")]
group_of = rng.permutation(np.arange(N) % len(plans))
group_of[[3, 17]] = len(plans) - 1
right = [single(rng.normal(size=(k, D))) for k in ranks]
left, gram, cross = [], [np.zeros((k, k)) for k in ranks], [np.zeros((k, D)) for k in ranks]
approximation = np.zeros((N, D))
for g, (b, profile) in enumerate(plans):
    members, k = group_of == g, len(widths(profile))
    numbers = A[members] if b == NONE else single(rng.normal(size=(members.sum(), k)))
    parts = [pack(row, profile, "BF16", k, None) for row in numbers] if k else []
    data, scales, decoded = (b"".join(p[0] for p in parts), b"".join(p[1] for p in parts), [p[2] for p in parts])
    left.append({"data": data.hex(), "scaleData": scales.hex()})
    if b == NONE:
        approximation[members] = decoded
    elif b != ZERO:
        coordinates = np.zeros((members.sum(), ranks[b]))
        coordinates[:, :k] = np.array(decoded, F)
        gram[b] += coordinates.T @ np.diag(w[members]) @ coordinates
        cross[b] += coordinates.T @ np.diag(w[members]) @ A[members]
        approximation[members] = coordinates @ right[b]
out["groupOf"], out["plans"], out["left"], out["right"] = group_of, plans, left, right
out["gram"], out["cross"] = gram, cross
for name, root in (("metric", S), ("identity", np.eye(D))):
    out[name]["loss"] = w @ (((A - approximation) @ root) ** 2).sum(1)

# --- the softmax: logits, ranking with a tie, log-sum-exp, draws, and the comparison with the dense one ---------------------------

STATES = 4
hidden = single(rng.normal(size=(STATES, D)))
bias = single(np.round(rng.normal(size=N), 2))
bias[group_of == len(plans) - 1] = 1.5  # tokens without a row: their logits tie


def softmax(logits):
    return np.exp(logits - log_sum_exp(logits)[:, None])


def log_sum_exp(logits):
    return np.log(np.exp(logits).sum(1))


logits = hidden @ approximation.T + bias
dense = hidden @ A.T + bias
ranking = [sorted(range(N), key=lambda i: (-F(y[i]), i)) for y in logits]
out["hidden"], out["bias"], out["approximation"] = hidden, bias, approximation
out["logits"], out["ranking"], out["logSumExp"] = logits, ranking, log_sum_exp(logits)
out["denseLogits"], out["denseLogSumExp"] = dense, log_sum_exp(dense)
out["expectedGap"] = (softmax(dense) * (dense - logits)).sum(1)


def splitmix(key):
    key %= 2**64
    key = (key ^ key >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    key = (key ^ key >> 27) * 0x94D049BB133111EB % 2**64
    return key ^ key >> 31


def noise(seed, step, token):
    """Standard Gumbel noise of splitmix64's and a 32-bit finisher's bits."""
    key = splitmix(splitmix(seed) + (step + 1) * 0x9E3779B97F4A7C15)
    x = (token * 0x9E3779B1 + key) % 2**32
    x = (x ^ x >> 16) * 0x85EBCA6B % 2**32
    x = ((x ^ x >> 13) * 0xC2B2AE35 + (key >> 32)) % 2**32
    x = (x ^ x >> 16) * 0x7FEB352D % 2**32
    x = (x ^ x >> 15) * 0x846CA68B % 2**32
    x ^= x >> 16
    return -np.log(-np.log((x + 0.5) / 2**32))


out["draws"] = []
for temperature, top_k, top_p, min_p in ((1, 0, 1, 0), (2.5, 0, 1, 0), (1.5, 5, 1, 0), (2, 0, 0.8, 0), (2, 0, 1, 0.2), (3, 9, 0.9, 0.1)):
    for seed in range(7, 15):
        tokens = []
        for s in range(STATES):
            keep = ranking[s][: top_k or N]
            p = np.exp((logits[s][keep] - logits[s][keep[0]]) / temperature)
            keep = keep[: int(np.searchsorted(np.cumsum(p), top_p * p.sum())) + 1] if top_p < 1 else keep
            keep = [i for i, share in zip(keep, p) if share >= min_p]
            tokens.append(max(keep, key=lambda i: logits[s][i] / temperature + noise(seed, s, i)))
        out["draws"].append({"sampling": [temperature, top_k, top_p, min_p], "seed": seed, "tokens": tokens})

# --- a symmetric matrix whose eigenvalues are given: some negative, one of them three times -------------------------------------

given = np.array([7.5, 2, 2, 2, 0.125, 0, -1, -4])
q, _ = np.linalg.qr(rng.normal(size=(8, 8)))
out["eigen"] = {"matrix": q @ np.diag(given) @ q.T, "values": given}


def plain(value):
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(inner) for inner in value]
    return value.item() if isinstance(value, np.generic) else value


lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(plain(value))}" for key, value in out.items())
pathlib.Path(__file__).with_name("golden.json").write_text("{\n" + lines + "\n}\n")
