"""What a packed matrix holds, as docs/format.md has it: its groups, codes and scales as they stand in files that are not packed."""
import numpy as np


class Table:
    def __init__(self, stored):
        self.parts = [round(2 ** (b / 16)) for b in stored.tolist()]
        self.parts[np.argmax(stored)] += 2**14 - sum(self.parts)
        self.starts = np.cumsum([0] + self.parts).tolist()
        self.symbols = np.repeat(np.arange(len(stored)), self.parts).tolist()
        mean = 256 * sum(t * part for t, part in enumerate(self.parts)) // 2**14
        self.moves = [1477 * (256 * t - mean) // (35 * (256 + mean)) for t in range(len(stored))]


class Block:
    def __init__(self, data):
        self.state, self.rest = int(data[:4].view("<u4")[0]), iter(data[4:].tolist())

    def take(self, start, part):
        self.state = part * (self.state >> 14) + self.state % 2**14 - start
        while self.state < 2**23:
            self.state = self.state << 8 | next(self.rest)

    def symbol(self, table):
        symbol = table.symbols[self.state % 2**14]
        self.take(table.starts[symbol], table.parts[symbol])
        return symbol

    def bits(self, count):
        value = self.state % 2**14 >> 14 - count
        self.take(value << 14 - count, 1 << 14 - count)
        return value

    def codes(self, tables, expected):
        codes, h = bytearray(), 0
        for e in expected:
            which = min(max((128 * e + h + 4224) // 256, 0), 43)
            shift = max(which // 4 - 5, 0)
            table = tables[which - 4 * shift]
            symbol = self.symbol(table)
            size = symbol + (self.bits(7) if symbol == 15 else 0)
            size = size << shift | self.bits(shift)
            codes.append(128 - size if size and self.bits(1) else 128 + size)
            h += table.moves[symbol]
        return codes


def unpack(about, rows_part, right_part):
    rows, columns = about["shape"]
    ranks = [0 if text == "zero" else int(text[2:]) for text in about["groups"].split(",")]
    rank = int(about["right"].split(":")[0] or 0)
    sizes = [rank, len(ranks), len(ranks), len(ranks), 24 * 16, 4 * -(-rows // 2048)]
    deviations, steps, gains, groups, tables, lengths, data = np.split(rows_part, np.cumsum(sizes))
    groups, tables = Table(groups), [Table(stored) for stored in tables.reshape(24, 16)]
    moved = gains.view("i1").astype(int) - steps
    expected = [(deviations[:k].astype(int) + m).tolist() for k, m in zip(ranks, moved)]
    group_of, codes = bytearray(), [bytearray() for _ in ranks]
    for length in lengths.view("<u4"):
        block, data = Block(data[:length]), data[length:]
        for _ in range(min(2048, rows - len(group_of))):
            group_of.append(block.symbol(groups))
            codes[group_of[-1]] += block.codes(tables, expected[group_of[-1]])
    scales = [bytes([step]) * group_of.count(g) for g, (step, k) in enumerate(zip(steps, ranks)) if k]
    steps, deviations, data = np.split(right_part, [2 * rank, 3 * rank])
    block = Block(data)
    codes += [block.codes(tables, [e] * columns) for e in deviations.view("i1").tolist()]
    return np.frombuffer(group_of, np.uint8), b"".join(codes), b"".join([*scales, steps.tobytes()])
