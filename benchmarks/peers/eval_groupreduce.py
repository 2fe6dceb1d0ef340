#!/usr/bin/env python3
"""The perplexity of a compressed softmax on hidden states, as `groupreduce eval` measures it, by a plain softmax in NumPy.

usage: eval_groupreduce.py FILE TENSOR HIDDEN.safetensors"""
import sys

import numpy as np
from read_groupreduce import File, read


def perplexity(file, name, states):
    name = file.document.get("tied", {}).get(name, name)
    about = file.document.get("logits", {}).get(name, {})
    if about.keys() & {"cap", "unknown"}:
        sys.exit(f"{name} has logits that are more than scale * (A h) + bias: {about}.")
    own = file.document["tensors"][name].get("bias")
    bias = name + ".bias" if own else about.get("bias")
    bias = file.tensor(bias).ravel().astype(np.float32) if bias else np.float32(0)
    scaled = read(file, name).T * np.float32(about.get("scale", 1))
    hidden, targets = states.tensor("hidden").astype(np.float32), states.tensor("targets")
    loss = 0
    for first in range(0, len(hidden), 256):
        logits = hidden[first : first + 256] @ scaled + bias
        logits -= logits.max(axis=1, keepdims=True)
        wanted = logits[np.arange(len(logits)), targets[first : first + 256]]
        loss += (np.log(np.exp(logits).sum(axis=1, dtype=np.float64)) - wanted).sum()
    return np.exp(loss / len(hidden))


if __name__ == "__main__":
    print(perplexity(File(sys.argv[1]), sys.argv[2], File(sys.argv[3])))
