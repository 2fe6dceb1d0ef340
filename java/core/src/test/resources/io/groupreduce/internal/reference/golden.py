"""Writes golden.json beside this file: small inputs and what NumPy makes of them, in doubles and with NumPy's solvers.

ReferenceGoldenTest holds the reference backend and the codecs against it. Nothing here is translated from the Java sources: the
equations are those of the documentation of CompressionWorkspace, InferenceSession, SoftmaxComparison, Codec and ScaleFormat.

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

N, D, BASES, NONE = 23, 6, 2, 255
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

# --- the codecs: what a row becomes, byte by byte ------------------------------------------------------------------------------

BITS = {"INT8": 8, "INT4": 4, "INT3": 3}
LOG8 = np.array([0] + [2 ** ((u - 192) / 8) for u in range(1, 256)])


def scale_at_least(scale, form):
    if form == "LOG8":
        return F(LOG8[min(255, np.searchsorted(LOG8.astype(F), F(scale)))])
    return bf16(scale, up=True)[()] if form == "BF16" else F(scale)


def scale_bytes(scale, form):
    if form == "LOG8":
        return bytes([int(np.argmin(abs(LOG8 - scale)))])
    return struct.pack("<f", scale) if form == "F32" else struct.pack("<f", scale)[2:]


def integers(row, scale, top):
    return np.clip(np.rint(row / scale), -top, top) if scale else np.zeros(len(row))


def best_scale(row, codec, form, error_weights):
    """Of the scale that clips nothing and so many smaller ones, that of the least weighted error."""
    top = 2 ** (BITS[codec] - 1) - 1
    exact = F(abs(row).max()) / F(top)
    if form == "LOG8":
        code = int(np.argmin(abs(LOG8 - scale_at_least(exact, form))))
        tried = [LOG8[code - t] for t in range((3 if codec == "INT8" else 14) + 1) if code - t >= 1]
    else:
        factors = [2 ** (-t / 16) for t in range((4 if codec == "INT8" else 24) + 1)]
        tried = [scale_at_least(exact * F(f), form) for f in factors]
    tried = sorted({float(s) for s in tried}, reverse=True)
    errors = [error_weights @ (row - integers(row, s, top) * s) ** 2 for s in tried]
    least = np.sort(errors)
    assert least[1] > least[0] * (1 + 1e-4), "two scales are too alike to be told apart"
    return tried[int(np.argmin(errors))]


def pack(numbers, codec, form, block, error_weights):
    """The bytes of a row, those of its scales, and what a reader makes of them."""
    if codec == "F32":
        return numbers.astype("<f4").tobytes(), b"", numbers
    if codec == "BF16":
        rounded = bf16(numbers)
        return (rounded.view(np.uint32) >> 16).astype("<u2").tobytes(), b"", rounded
    bits, top = BITS[codec], 2 ** (BITS[codec] - 1) - 1
    stored, scales, decoded = [], b"", []
    for at in range(0, len(numbers), block):
        row = numbers[at : at + block]
        if not row.any():
            scale = 0.0
        elif error_weights is None:
            scale = float(scale_at_least(F(abs(row).max()) / F(top), form))
        else:
            scale = best_scale(row, codec, form, error_weights[at : at + block])
        stored += [int(q) for q in integers(row, scale, top)]
        scales += scale_bytes(scale, form)
        decoded += [F(q) * F(scale) for q in stored[at:]]
    zero = 0 if codec == "INT8" else 2 ** (bits - 1)
    stream = 0
    padded = stored + [0] * (codec == "INT4" and len(stored) % 2)
    for j, q in enumerate(padded):
        stream |= (q + zero & 2**bits - 1) << bits * j
    return stream.to_bytes((len(padded) * bits + 7) // 8, "little"), scales, np.array(decoded)


WIDTH = 37
rows = single(rng.normal(size=(2, WIDTH)) * [[0.2], [3]])
rows[0, 5] *= 9
rows[1, 32:] = 0
ties = [7, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 1 + 2**-8, 1 + 3 * 2**-8, -1 - 2**-8]  # of INT4 at scale 1, and of BF16
rows = np.vstack([rows, (ties * 4)[:WIDTH]])
counts = single(rng.uniform(0.2, 3, WIDTH))
out["rows"], out["errorWeights"], out["codecs"] = rows, counts, []
for codec in ("F32", "BF16", "INT8", "INT4", "INT3"):
    for form in ("F32", "BF16", "LOG8") if codec in BITS else ("F32",):
        for block in (WIDTH, 32) if codec in BITS else (WIDTH,):
            for weighted in (False, True):
                parts = [pack(row, codec, form, block, counts if weighted else None) for row in rows]
                data, scales, decoded = zip(*parts)
                kind = {"codec": codec, "scales": form, "block": block, "weighted": weighted}
                kind |= {"data": b"".join(data).hex(), "scaleData": b"".join(scales).hex()}
                if not weighted:
                    kind["decoded"] = np.array(decoded, "<f4").tobytes().hex()
                out["codecs"].append(kind)

# --- what every way to store a row loses, and the choice at a price -------------------------------------------------------------


def power(scale):
    """The first power of 2^(1/8) that is not below, as its exponent in eighths."""
    return np.ceil(8 * np.log2(scale))


def rounding(codec, x, longest, scales):
    """Of the coordinates x; the longest plan of their basis keeps ``longest`` ones."""
    if codec in ("F32", "BF16"):
        return 0 if codec == "F32" else 2.0**-18 / 3 * x @ x
    top = 2 ** (BITS[codec] - 1) - 1
    if codec == "INT8":
        largest = abs(x * scales[: len(x)]).max()
        return 2 ** (2 * power(largest / top) / 8) / 12 * (1 / scales[: len(x)] ** 2).sum() if largest else 0
    if not longest.any():
        return 0
    first = power(abs(longest * scales).max() / top)
    tried = [2 ** ((first - 2 * t) / 8) for t in range(12)]
    return min(((x - integers(x * scales[: len(x)], s, top) * s / scales[: len(x)]) ** 2).sum() for s in tried)


ways = [(0, 4, "INT8"), (0, 3, "INT4"), (0, 2, "INT3"), (0, 4, "BF16"), (1, 2, "F32"), (1, 2, "INT4"), (1, 1, "INT8")]
ways += [(255, D, "F32"), (255, D, "BF16"), (255, D, "INT8"), (255, D, "INT3"), (254, 0, "F32")]
out["ways"], out["wayScales"] = ways, [single([1, 1.5, 2, 3]), single([0.5, 0.75])]
out["wayBytes"] = [1 + (0 if b == 254 else (k * BITS.get(c, 32 if c == "F32" else 16) + 7) // 8) for b, k, c in ways]
for name, root in (("metric", S), ("identity", np.eye(D))):
    case, B = out[name], A @ root
    case["projections"] = [single(np.linalg.svd(np.sqrt(w)[:, None] * B)[2][:k] @ root) for k in ranks]
    coordinates = [A @ projection.T for projection in case["projections"]]
    lost = np.zeros((N, len(ways)))
    for i in range(N):
        energy = B[i] @ B[i]
        for p, (b, k, codec) in enumerate(ways):
            if b == 254:
                lost[i, p] = energy
            elif b == 255 and codec in BITS:
                lost[i, p] = (abs(A[i]).max() / (2 ** (BITS[codec] - 1) - 1)) ** 2 / 12 * (root**2).sum()
            elif b == 255:
                lost[i, p] = 0 if codec == "F32" else 2.0**-18 / 3 * energy
            else:
                x = coordinates[b][i]
                lost[i, p] = max(0, energy - x[:k] @ x[:k]) + rounding(codec, x[:k], x, out["wayScales"][b])
    lost *= w[:, None]
    price = 0.004 * case["energy"] / N
    objectives = lost + price * np.array(out["wayBytes"])
    assert (np.diff(np.sort(objectives)[:, :2]) > 1e-4 * price).all(), "two ways are too alike to be told apart"
    case["distortions"], case["price"], case["chosen"] = lost.sum(0), price, objectives.argmin(1)
    assert len(set(case["chosen"])) > 4, "rows should choose many ways"

# --- the equations of better right factors, from what was stored; and the loss of the whole --------------------------------------

plans = [(0, 4, "INT8"), (1, 2, "INT4"), (0, 2, "INT3"), (255, D, "BF16"), (254, 0, "F32")]
group_of = rng.choice(len(plans), N, p=[0.4, 0.2, 0.2, 0.1, 0.1])
group_of[[3, 17]] = 4
right = [single(rng.normal(size=(k, D))) for k in ranks]
left, gram, cross = [], [np.zeros((k, k)) for k in ranks], [np.zeros((k, D)) for k in ranks]
approximation = np.zeros((N, D))
for g, (b, k, codec) in enumerate(plans):
    members = group_of == g
    numbers = single(rng.normal(size=(members.sum(), k)))
    numbers = A[members] if b == 255 else numbers
    parts = [pack(row, codec, "BF16", k, None) for row in numbers]
    data, scales, decoded = (b"".join(p[0] for p in parts), b"".join(p[1] for p in parts), [p[2] for p in parts])
    left.append({"data": data.hex(), "scaleData": scales.hex()})
    if b == 255:
        approximation[members] = decoded
    elif b < 254:
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
bias[group_of == 4] = 1.5  # tokens without a row: their logits tie


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




def noise(seed, state, token):
    """Standard Gumbel noise of splitmix64's and a 32-bit finisher's bits."""
    key = (seed + (state + 1) * 0x9E3779B97F4A7C15) % 2**64
    key = (key ^ key >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    key = (key ^ key >> 27) * 0x94D049BB133111EB % 2**64
    key ^= key >> 31
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
