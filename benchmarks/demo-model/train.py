#!/usr/bin/env python3
"""Trains the small word-level language model that ships with the command line as its demo.

What:     an LSTM language model over the King James Bible whose embedding and softmax
          matrices (untied, [12000, 128] each) hold nearly all of its weights, so that it
          is a small but real subject for matrix compression.

Run:      apt-get install bible-kjv bible-kjv-text python3-torch python3-numpy
          /usr/bin/python3 benchmarks/demo-model/train.py            (about 15 minutes on 2 free cores)
          /usr/bin/python3 benchmarks/demo-model/train.py --help     (other settings)

Source:   the text printed by `bible -f 'Gen1:1-Rev22:21'` (Debian package bible-kjv-text):
          31,102 verses of the King James Version (1611, in the spelling of the later
          standard editions). Public domain; nothing else goes into the model.

Comes out (in --out, by default the command line's resource folder):
          model.safetensors   embedding.weight, softmax.weight [V, 128] BF16,
                              softmax.bias [V] F32, lstm.* BF16 (PyTorch's names and layout,
                              gate order i, f, g, o)
          counts.tsv          token<TAB>count in the training text, in vocabulary order
          hidden.safetensors  hidden [T, 128] F16, the inputs of the softmax for the first
                              T held-out tokens, and targets [T] I32, those tokens
          README.md           what these files are, with the measured perplexities

Every 20th chapter is held out. The learning rate was settled from short runs with another
fold of chapters held out (--fold 9), the other settings are untuned, and the last epoch is
always the one kept, so the chapters on which the shipped model is measured took part in no
choice. The seed is fixed; on another processor or library version, rounding alone leads
training to slightly different weights.
"""

import argparse
import json
import math
import os
import re
import struct
import subprocess
import time
import zlib
from collections import Counter
from pathlib import Path

# PyTorch's OpenMP threads and OpenBLAS's own threads alternate. On as many cores as
# threads, the one pool's busy waiting would more than double the time of a step. Read
# when the library is loaded, hence before the import.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch  # noqa: E402
from torch import nn  # noqa: E402

REPOSITORY = Path(__file__).resolve().parents[2]
DEFAULT_OUT = REPOSITORY / "java/cli/src/main/resources/io/groupreduce/cli/demo"

EOS, UNK = "<eos>", "<unk>"
VERSE = re.compile(r"(\w+):\d+ (.*)")
# The possessive is a token of its own: it keeps the vocabulary near 12,000 without
# giving every name a second, rare entry.
TOKEN = re.compile(r"[a-z]+|'s\b|[^\sa-z]")


# ---------------------------------------------------------------- text

def read_chapters():
    """The Bible as (name, tokens) for each chapter, with EOS after every verse."""
    text = subprocess.run(["bible", "-f", "Gen1:1-Rev22:21"],
                          check=True, capture_output=True, text=True).stdout
    chapters = []
    for line in text.splitlines():
        name, verse = VERSE.fullmatch(line).groups()
        if not chapters or chapters[-1][0] != name:
            chapters.append((name, []))
        chapters[-1][1].extend(TOKEN.findall(verse.lower()) + [EOS])
    return chapters


def build_vocabulary(tokens, size):
    """The most frequent words of the training part, in alphabetical order."""
    counts = Counter(tokens)
    del counts[EOS]
    # Most words on the border occur once. The checksum picks among equals without
    # favouring one end of the alphabet or one book.
    ranked = sorted(counts, key=lambda w: (-counts[w], zlib.crc32(w.encode())))
    # Alphabetical, not by frequency: a consumer must not be able to pass by relying
    # on row order where it should read the counts.
    return sorted(set(ranked[:size - 2]) | {EOS, UNK})


# ---------------------------------------------------------------- model

class SoftmaxLoss(torch.autograd.Function):
    """Mean cross entropy of a full softmax layer.

    The [tokens, V] logits dominate the time on a CPU. One reused buffer and gradients
    taken in the forward pass make a step about twice as fast as PyTorch's own chain of
    linear, log_softmax and nll_loss, each of which allocates such a matrix.
    """

    buffer = torch.empty(0)

    @staticmethod
    def forward(ctx, hidden, weight, bias, targets):
        n, v = len(targets), len(weight)
        if SoftmaxLoss.buffer.shape != (n, v):
            SoftmaxLoss.buffer = torch.empty(n, v)
        p = torch.addmm(bias, hidden, weight.t(), out=SoftmaxLoss.buffer)
        rows = torch.arange(n)
        p.sub_(p.amax(1, keepdim=True))
        target_logits = p[rows, targets]
        total = p.exp_().sum(1, keepdim=True)
        loss = (total.squeeze(1).log() - target_logits).mean()
        p.div_(total * n)
        p[rows, targets] -= 1.0 / n
        ctx.save_for_backward(p @ weight, p.t() @ hidden, p.sum(0))
        return loss

    @staticmethod
    def backward(ctx, grad):
        g_hidden, g_weight, g_bias = ctx.saved_tensors
        return grad * g_hidden, grad * g_weight, grad * g_bias, None


class Model(nn.Module):
    def __init__(self, vocabulary, dim, layers, drop_in, drop_out, unigram):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, dim)
        self.lstm = nn.LSTM(dim, dim, layers, dropout=drop_out if layers > 1 else 0.0)
        self.softmax = nn.Linear(dim, vocabulary)
        self.drop_in, self.drop_out = nn.Dropout(drop_in), nn.Dropout(drop_out)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        nn.init.uniform_(self.softmax.weight, -0.1, 0.1)
        # Starting at the word frequencies saves the first few hundred steps.
        self.softmax.bias.data = torch.log(unigram)

    def forward(self, tokens, state):
        hidden, state = self.lstm(self.drop_in(self.embedding(tokens)), state)
        return self.drop_out(hidden), state


def train(model, ids, args):
    """Truncated backpropagation through time over args.batch parallel streams."""
    length = (len(ids) - 1) // args.batch
    inputs = ids[:length * args.batch].view(args.batch, length).t().contiguous()
    targets = ids[1:length * args.batch + 1].view(args.batch, length).t().contiguous()
    # Biases are not decayed: they carry the word frequencies.
    decayed = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": args.weight_decay},
                                   {"params": plain, "weight_decay": 0.0}],
                                  lr=args.lr, betas=(0.9, 0.99))
    steps, warmup = args.epochs * (length // args.bptt), 100
    step = 0
    for epoch in range(args.epochs):
        model.train()
        state, total, begun = None, 0.0, time.time()
        # A random start keeps the cuts between segments from falling on the same
        # words in every epoch.
        start = int(torch.randint(0, args.bptt, ()))
        positions = range(start, length - args.bptt + 1, args.bptt)
        for i in positions:
            rate = args.lr * min(1.0, (step + 1) / warmup) * \
                (0.5 + 0.5 * math.cos(math.pi * min(1.0, step / steps)))
            for group in optimizer.param_groups:
                group["lr"] = rate
            hidden, state = model(inputs[i:i + args.bptt], state)
            state = tuple(s.detach() for s in state)
            loss = SoftmaxLoss.apply(hidden.reshape(-1, hidden.shape[-1]), model.softmax.weight,
                                     model.softmax.bias, targets[i:i + args.bptt].reshape(-1))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            step += 1
            total += loss.item()
            if step % 200 == 0:
                print(f"  step {step}/{steps} loss {loss.item():.3f}", flush=True)
        yield epoch + 1, math.exp(total / len(positions)), time.time() - begun


@torch.no_grad()
def hidden_states(model, inputs):
    """Softmax inputs for one continuous stream that starts from a zero state."""
    model.eval()
    hidden, _ = model(inputs.unsqueeze(1), None)
    return hidden.squeeze(1)


@torch.no_grad()
def perplexity(hidden, model, targets):
    total = 0.0
    for h, t in zip(hidden.split(500), targets.split(500)):
        logits = torch.addmm(model.softmax.bias, h, model.softmax.weight.t()).double()
        total += nn.functional.cross_entropy(logits, t, reduction="sum").item()
    return math.exp(total / len(targets))


# ---------------------------------------------------------------- files

DTYPES = {torch.bfloat16: "BF16", torch.float16: "F16", torch.float32: "F32",
          torch.int32: "I32"}


def write_safetensors(path, tensors, metadata):
    header, blobs, offset = {"__metadata__": metadata}, [], 0
    # Wider elements first, so that every tensor starts aligned to its element size.
    for name, tensor in sorted(tensors.items(), key=lambda e: (-e[1].element_size(), e[0])):
        tensor = tensor.detach().contiguous()
        # numpy has no bfloat16: its bits go out as 16-bit integers.
        raw = tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor
        array = raw.numpy()
        blob = array.astype(array.dtype.newbyteorder("<")).tobytes()
        header[name] = {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [offset, offset + len(blob)]}
        offset += len(blob)
        blobs.append(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


README = """\
# Demo model: a small LSTM language model of the King James Bible

Written by `benchmarks/demo-model/train.py`; do not edit by hand.

Word level, lower case, punctuation and the possessive `'s` as tokens of their own,
`<eos>` after every verse, `<unk>` for {unk_types} of the rarest words of the training part.
Vocabulary: {v:,} tokens in alphabetical (code point) order, not in order of frequency.

Architecture: embedding ({v:,} x {dim}) -> {layers_text} of {dim} -> softmax with bias
({v:,} x {dim}). Embedding and softmax are untied and hold {share:.0f} % of the {params:,}
parameters. Every tensor is BF16, the softmax bias F32.

| file | bytes | contents |
|---|---:|---|
| `model.safetensors` | {model_bytes:,} | `embedding.weight`, `softmax.weight`, `softmax.bias`, `lstm.*` (PyTorch's names, layout and gate order i, f, g, o) |
| `counts.tsv` | {counts_bytes:,} | token, tab, count in the training part; one line per vocabulary entry, in vocabulary order |
| `hidden.safetensors` | {hidden_bytes:,} | `hidden` [{t}, {dim}] F16: inputs of the softmax for the first {t:,} held-out tokens; `targets` [{t}] I32: those tokens |

## Held-out perplexity

Every 20th of the 1,189 chapters is held out ({held_chapters} chapters, {held:,} tokens; {train:,} tokens train
the model). All figures are of the BF16 model, with `<unk>` counted as a token like any other
({held_unk:.2f} % of the held-out tokens).

| on | perplexity |
|---|---:|
| `hidden` and `targets` as shipped ({t:,} tokens, F16 inputs) | {ppl_t:.3f} |
| the whole held-out part ({held:,} tokens) | {ppl_all:.3f} |

The first row covers only the first held-out chapters ({first_chapters}, the last
in part), so the two figures differ.
The learning rate was settled with other chapters held out. Parallel passages (Kings and
Chronicles, the Gospels) mean that some held-out verses closely resemble training verses.

## Retraining

    apt-get install bible-kjv bible-kjv-text python3-torch python3-numpy
    /usr/bin/python3 benchmarks/demo-model/train.py

{epochs} epochs took {minutes:.0f} minutes, {cpu:.0f} of CPU time, with {threads} threads (PyTorch {torch}).
The seed is fixed; other processors or versions give slightly different weights.

## Text and licence status

{source} {status}
"""

SOURCE = ("King James Version of the Bible (1611, in the spelling of the later standard "
          "editions), 31,102 verses, "
          "as distributed in the Debian package bible-kjv-text.")
STATUS = ("The text is in the public domain, its copyright having expired; in the United "
          "Kingdom, printing it is governed by Crown letters patent.")


def main():
    parser = argparse.ArgumentParser(description="Trains the demo language model.")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    parser.add_argument("--no-write", action="store_true", help="train and measure only")
    parser.add_argument("--fold", type=int, default=19, help="chapters i with i %% 20 == fold are held out")
    parser.add_argument("--vocabulary", type=int, default=12000)
    parser.add_argument("--tokens", type=int, default=4500, help="T, the hidden states shipped")
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--drop-in", type=float, default=0.2)
    parser.add_argument("--drop-out", type=float, default=0.3)
    parser.add_argument("--weight-decay", type=float, default=0.02)
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--bptt", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()

    begun = time.time()
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)

    chapters = read_chapters()
    held_chapters = [c for i, c in enumerate(chapters) if i % 20 == args.fold]
    training = [t for i, (_, c) in enumerate(chapters) if i % 20 != args.fold for t in c]
    held_out = [t for _, c in held_chapters for t in c]
    # For the README: the chapter from which each held-out token comes.
    held_names = [name for name, c in held_chapters for _ in c]
    vocabulary = build_vocabulary(training, args.vocabulary)
    index = {token: i for i, token in enumerate(vocabulary)}
    unk = index[UNK]
    train_ids = torch.tensor([index.get(t, unk) for t in training])
    held_ids = torch.tensor([index.get(t, unk) for t in held_out])
    # The first held-out token is predicted from EOS, as every verse's first word is.
    held_inputs = torch.cat([torch.tensor([index[EOS]]), held_ids[:-1]])
    counts = torch.bincount(train_ids, minlength=len(vocabulary))
    print(f"train {len(train_ids)} held out {len(held_ids)} vocabulary {len(vocabulary)} "
          f"training types {len(set(training))} "
          f"unk train {int(counts[unk])} held out {int((held_ids == unk).sum())}", flush=True)

    model = Model(len(vocabulary), args.dim, args.layers, args.drop_in, args.drop_out,
                  (counts + 1.0) / (counts.sum() + len(vocabulary)))
    for epoch, train_ppl, seconds in train(model, train_ids, args):
        measured = perplexity(hidden_states(model, held_inputs), model, held_ids)
        print(f"epoch {epoch} train {train_ppl:.2f} held out {measured:.2f} "
              f"({seconds:.0f} s)", flush=True)
    minutes, cpu = (time.time() - begun) / 60, time.process_time() / 60

    # Everything below is measured on the weights as they ship, so round them first.
    tensors = {}
    for name, parameter in model.named_parameters():
        if name != "softmax.bias":
            tensors[name] = parameter.data.bfloat16()
            parameter.data = tensors[name].float()
        else:
            tensors[name] = parameter.data
    hidden = hidden_states(model, held_inputs)
    ppl_all = perplexity(hidden, model, held_ids)
    shipped = hidden[:args.tokens].half()
    shipped_targets = held_ids[:args.tokens]
    ppl_t = perplexity(shipped.float(), model, shipped_targets)
    print(f"BF16 model: first {args.tokens} {ppl_t:.4f}, all held out {ppl_all:.4f}, "
          f"{minutes:.1f} minutes", flush=True)
    if args.no_write:
        return

    args.out.mkdir(parents=True, exist_ok=True)
    metadata = {"text": SOURCE, "text_status": STATUS,
                "made_by": "benchmarks/demo-model/train.py"}
    write_safetensors(args.out / "model.safetensors", tensors, metadata)
    write_safetensors(args.out / "hidden.safetensors",
                      {"hidden": shipped, "targets": shipped_targets.int()}, metadata)
    (args.out / "counts.tsv").write_text(
        "".join(f"{t}\t{int(c)}\n" for t, c in zip(vocabulary, counts)), encoding="utf-8")
    parameters = sum(t.numel() for t in tensors.values())
    (args.out / "README.md").write_text(README.format(
        v=len(vocabulary), dim=args.dim, t=args.tokens,
        layers_text=f"{args.layers} LSTM layer{'s' if args.layers > 1 else ''}",
        unk_types=len(set(training)) - (len(vocabulary) - 1),
        share=100 * 2 * len(vocabulary) * args.dim / parameters, params=parameters,
        model_bytes=(args.out / "model.safetensors").stat().st_size,
        counts_bytes=(args.out / "counts.tsv").stat().st_size,
        hidden_bytes=(args.out / "hidden.safetensors").stat().st_size,
        held_chapters=len(held_chapters), held=len(held_ids), train=len(train_ids),
        held_unk=100 * (held_ids == unk).float().mean().item(),
        ppl_t=ppl_t, ppl_all=ppl_all,
        first_chapters=", ".join(dict.fromkeys(held_names[:args.tokens])),
        epochs=args.epochs, minutes=minutes, cpu=cpu, threads=args.threads, torch=torch.__version__,
        source=SOURCE, status=STATUS), encoding="utf-8")


if __name__ == "__main__":
    main()
