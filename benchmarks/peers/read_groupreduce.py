#!/usr/bin/env python3
"""A tensor of a file that `groupreduce compress` wrote, in binary32: compressed, tied or copied. As docs/format.md has it.

usage: read_groupreduce.py FILE TENSOR OUT.npy"""
import io
import json
import re
import sys

import numpy as np
from unpack_groupreduce import unpack

TYPES = {"U8": "u1", "I32": "<i4", "I64": "<i8", "F16": "<f2", "BF16": "<u2", "F32": "<f4", "F64": "<f8"}
SCALES = np.array([0] + [2 ** ((u - 192) / 8) for u in range(1, 256)], np.float32)
DESCRIPTION = re.compile(r"(?:(\w+):)?(\d+)x([\d.]+)(?:/(bf16|f32))?(?:/(\d+))?")


def numbers(data, kind):
    found = np.frombuffer(data, TYPES[kind])
    return (found.astype("u4") << 16).view("f4") if kind == "BF16" else found


class File:
    def __init__(self, path):
        raw = np.memmap(path, np.uint8, "r")
        begin = 8 + int(raw[:8].view("<u8")[0])
        self.header, self.data = json.loads(bytes(raw[8:begin])), raw[begin:]
        self.document = json.loads(self.header.get("__metadata__", {}).get("groupreduce", "{}"))

    def tensor(self, name):
        entry = self.header[name]
        return numbers(self.data[slice(*entry["data_offsets"])].tobytes(), entry["dtype"]).reshape(entry["shape"])


def decode(values, rows, description, codes, scales):
    _, most, counts, kind, block = DESCRIPTION.fullmatch(description).groups()
    counts = [int(count) for count in counts.split(".")]
    bits = np.repeat(int(most) - np.arange(len(counts)), counts)
    row_bytes = -(-int(bits.sum()) // 8)
    data = codes.read(rows * row_bytes)
    if most in ("16", "32"):
        return numbers(data, "BF16" if most == "16" else "F32").reshape(rows, len(bits))
    starts = np.cumsum(bits) - bits
    places = (np.arange(bits.sum()) - np.repeat(starts, bits)).astype(np.uint8)
    stream = np.unpackbits(numbers(data, "U8").reshape(rows, row_bytes), axis=1, bitorder="little")
    code = np.add.reduceat(stream[:, : len(places)] << places, starts, axis=1, dtype=np.uint8)
    first, step = np.array(values, np.float32)[bits - 1].T
    kind, block = (kind or "u8").upper(), int(block or len(bits))
    blocks = -(-len(bits) // block)
    scale = numbers(scales.read(rows * blocks * np.dtype(TYPES[kind]).itemsize), kind).reshape(rows, blocks)
    scale = SCALES[scale] if kind == "U8" else scale
    return (first + code * step) * np.repeat(scale, block, axis=1)[:, : len(bits)]


def read(file, name):
    name = file.document.get("tied", {}).get(name, name)
    about = file.document.get("tensors", {}).get(name)
    if about is None:
        return file.tensor(name)
    if about.get("packed"):
        group_of, *streams = unpack(about, file.tensor(name + ".rows"), file.tensor(name + ".right"))
    else:
        group_of, *streams = [file.tensor(f"{name}.{part}") for part in ("groups", "codes", "scales")]
    codes, scales = map(io.BytesIO, streams)
    values, left = file.document["values"], []
    for g, text in enumerate(about["groups"].split(",")):
        if text != "zero":
            rows = np.flatnonzero(group_of == g)
            left.append((rows, text.rpartition(":")[0], decode(values, len(rows), text, codes, scales)))
    bases = [text.split(":") for text in about["right"].split(",") if text]
    right = [decode(values, int(rows), text, codes, scales) for rows, text in bases]
    matrix = np.zeros(about["shape"], np.float32)
    for rows, basis, part in left:
        matrix[rows] = part if basis == "dense" else part @ right[int(basis or 0)][: part.shape[1]]
    return matrix


if __name__ == "__main__":
    np.save(sys.argv[3], read(File(sys.argv[1]), sys.argv[2]))
