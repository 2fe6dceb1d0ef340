// A strip of 32 packed rows times the operands of S states, by one warp: the sums behind every logit and every
// coordinate of z.
//
//   y[i][s] = sum_k value[i][k] x[k][s]      rows i = 0..31, states s = 0..S-1, before the scale of a row
//
// Bytes: the strip's packed numbers once, by asynchronous copies of 16 a lane that run two to three pieces of 1,024
// ahead of the sums, over strips that follow each other. Never materialised: a decoded number outside registers.
//
// Codes: whole numbers of 32 bits, exact, so in any order; what is left to binary32 is four digits and a scale. A block
// of 4 bits is one load, eight masks and two mma for each two states. Where there is a scale for every block, sums go
// into binary32 block by block.
// F32 and BF16: tensor cores cut where they add. So the sums of every two slices (of each where numbers are F32) are
// added up in rounded binary32: with four, logits in which large numbers cancel lost more than plain binary32 loses.
#pragma once

#include "softmax_operands.h"
#include "softmax_ring.h"

namespace gr::softmax {

constexpr int WARPS = 8;
constexpr int BLOCK = WARPS * WARP;

// The place in a strip of row i = 0..3 of this lane of a product.
GR_DEVICE int lane_row(int i) { return lane() / 4 + 8 * i; }

// The scales of a strip's blocks; this lane's row.
struct BlockScales {
    const uint8_t* scales;  // null where a row has one scale or none
    const float* log8;
    int bytes;  // 0 for a row beyond the matrix

    GR_DEVICE float of(int block) const { return bytes == 0 ? 0 : stored::scale(scales, bytes, block, log8); }
};

// What strips want to know of rows, at hand so that stores to memory do not make it be read again.
struct RowShape {
    int bits, width;

    GR_DEVICE RowShape(const GrRowForm& form) : bits(form.bits), width(form.width) {}

    GR_DEVICE bool codes() const { return bits <= 8; }
};

// The scales of a matrix's rows.
struct RowScales {
    const uint8_t* scales;  // null for numbers that are no codes
    const float* log8;
    int rows, bytes, in_row;

    GR_DEVICE RowScales(const GrPacked& matrix, const float* log8)
        : scales(matrix.scales),
          log8(log8),
          rows(matrix.rows),
          bytes(matrix.form.scale_bytes),
          in_row(matrix.form.scales_per_row) {}

    GR_DEVICE BlockScales block_scales(int strip) const {
        if (in_row <= 1) {
            return {nullptr, log8, 0};
        }
        const int64_t row = static_cast<int64_t>(strip) * STRIP + lane();
        return {scales + row * in_row * bytes, log8, row < rows ? bytes : 0};
    }

    // What multiplies a whole row of sums: 1 where sums are scaled already or not at all. `row` is one of the matrix.
    GR_DEVICE float row_scale(int row) const {
        return scales == nullptr || in_row > 1 ? 1 : stored::scale(scales, bytes, row, log8);
    }
};

// Where the sums of a strip turn so that a lane has a row: columns of 32 numbers, so far apart that lanes that write
// meet in no bank.
template <int S>
struct Turn {
    static constexpr int COLUMN = 40;
    static constexpr int COLUMNS = S == 8 ? 16 : 8;

    float memory[COLUMNS * COLUMN];
};

// Whole sums of digits: columns of a product are the digits of states (see Panel).
template <int S>
struct DigitSums {
    static constexpr int TILES = S / 2;

    int sums[2][TILES][4];

    GR_DEVICE void clear() {
        GR_UNROLL
        for (int i = 0; i < 4 * TILES; i++) {
            sums[0][i / 4][i % 4] = sums[1][i / 4][i % 4] = 0;
        }
    }

    GR_DEVICE void add_starts(const int* starts) {
        GR_UNROLL
        for (int i = 0; i < 4 * TILES; i++) {
            const int start = starts[8 * (i / 4) + 2 * (lane() % 4) + i % 2];
            sums[0][i / 4][i % 4] += start;
            sums[1][i / 4][i % 4] += start;
        }
    }

    GR_DEVICE void add(const unsigned (&a)[2][4], const uint2* digits) {
        GR_UNROLL
        for (int j = 0; j < TILES; j++) {
            const uint2 b = digits[j * WARP];
            mma_u8s8(sums[0][j], a[0], b.x, b.y);
            mma_u8s8(sums[1][j], a[1], b.x, b.y);
        }
    }

    GR_DEVICE void add_half(const unsigned (&a)[2][2], const uint2* digits) {
        GR_UNROLL
        for (int j = 0; j < TILES; j++) {
            const unsigned b = digits[j * WARP].x;
            mma_u8s8_half(sums[0][j], a[0][0], a[0][1], b);
            mma_u8s8_half(sums[1][j], a[1][0], a[1][1], b);
        }
    }

    // Of row i: 256 times the one digit and the other of column 2 (lane % 4).
    GR_DEVICE float pair(int j, int row) const {
        const int(&four)[4] = sums[row / 2][j];
        return fma(static_cast<float>(four[row % 2 * 2]), 256.0f, static_cast<float>(four[row % 2 * 2 + 1]));
    }
};

// The sums of a strip, chunk of its columns after chunk: whole ones; where blocks have scales, pairs of digits as the
// bits of binary32; or of numbers, whose columns are states, of which the first S count, the bits of binary32 in tile
// 0.
template <int S>
struct StripSums {
    static constexpr int TILES = S / 2;

    DigitSums<S> whole;

    GR_DEVICE void clear() { whole.clear(); }

    GR_DEVICE int& pair_bits(int j, int row) { return whole.sums[row / 2][j][row % 2 * 2]; }

    GR_DEVICE static void add_float(int& bits, float x) {
        bits = static_cast<int>(float_bits(bits_float(static_cast<unsigned>(bits)) + x));
    }

    // Adds pairs of a block times a scale for every row, of which a lane has its own.
    GR_DEVICE void fold(const DigitSums<S>& block, float scale_of_lane) {
        GR_UNROLL
        for (int row = 0; row < 4; row++) {
            const float scale = shuffle(scale_of_lane, lane_row(row));
            GR_UNROLL
            for (int j = 0; j < TILES; j++) {
                add_float(pair_bits(j, row), block.pair(j, row) * scale);
            }
        }
    }

    // y[s] of this lane's row; `several`: there were scales for blocks.
    GR_DEVICE void turn_codes(float (&y)[S], Turn<S>& turn, const OperandMemory<S>& shared, bool several) const {
        sync_warp();  // all have read what turned before
        GR_UNROLL
        for (int i = 0; i < 4 * TILES; i++) {
            turn.memory[(i / 4 * 4 + lane() % 4) * Turn<S>::COLUMN + lane_row(i % 4)] =
                several ? bits_float(static_cast<unsigned>(whole.sums[i % 4 / 2][i / 4][i % 2 * 2]))
                        : whole.pair(i / 4, i % 4);
        }
        sync_warp();
        GR_UNROLL
        for (int s = 0; s < S; s++) {
            const float* high = turn.memory + 2 * s * Turn<S>::COLUMN + lane();
            y[s] = fma(high[0], 65536.0f, high[Turn<S>::COLUMN]) * shared.unit[s].down;
        }
    }

    GR_DEVICE void turn_numbers(float (&y)[S], Turn<S>& turn) const {
        sync_warp();
        GR_UNROLL
        for (int i = 0; i < 8; i++) {
            turn.memory[(lane() % 4 * 2 + i % 2) * Turn<S>::COLUMN + lane_row(i / 2)] =
                bits_float(static_cast<unsigned>(whole.sums[i / 4][0][i % 4]));
        }
        sync_warp();
        GR_UNROLL
        for (int s = 0; s < S; s++) {
            y[s] = turn.memory[s * Turn<S>::COLUMN + lane()];
        }
    }
};

// What a warp adds up: where it reads operands, and, where Several scales are in a row, what each block has of its own.
template <int S, bool Several>
struct BlocksAhead {
    StripSums<S>& sums;
    Ring& ring;
    const uint2* digits;
    const int* starts;
    BlockScales scales;
    int block;  // of the matrix

    // To what the next block adds, and what comes of it.
    template <class Add>
    GR_DEVICE void add_block(const Add& add) {
        if (Several) {
            DigitSums<S> own;
            own.clear();
            own.add_starts(starts);
            add(own);
            sums.fold(own, scales.of(block++));
            starts += 4 * S;
        } else {
            add(sums.whole);
        }
        digits += S / 2 * WARP;
    }

    template <int Bits>
    GR_DEVICE void add_run(int blocks) {
        GR_ROLLED
        for (; blocks > 0; blocks--) {
            unsigned word[Bits], a[2][4];
            ring.take(word);
            decode_block<Bits>(word, a);
            add_block([&](DigitSums<S>& to) { to.add(a, digits); });
        }
    }

    template <int Bits>
    GR_DEVICE void add_half() {
        unsigned word[Bits / 2], a[2][2];
        ring.take(word);
        decode_half<Bits>(word, a);
        add_block([&](DigitSums<S>& to) { to.add_half(a, digits); });
    }

    GR_DEVICE void add(const GrRuns& runs) {
        // Most strips have few widths: one question passes over three.
        if ((runs.blocks[7] | runs.blocks[5] | runs.blocks[4]) != 0) {
            add_run<8>(runs.blocks[7]);
            add_run<6>(runs.blocks[5]);
            add_run<5>(runs.blocks[4]);
        }
        add_run<4>(runs.blocks[3]);
        if ((runs.blocks[2] | runs.blocks[1] | runs.blocks[0]) != 0) {
            add_run<3>(runs.blocks[2]);
            add_run<2>(runs.blocks[1]);
            add_run<1>(runs.blocks[0]);
        }
        if (runs.blocks[6] == 4) {
            add_half<4>();
        } else if (runs.blocks[6] == 8) {
            add_half<8>();
        } else if (runs.blocks[6] == 2) {
            add_half<2>();
        }
    }
};

GR_DEVICE void multiply_term(float (&part)[4], const unsigned (&a)[4], const uint2* terms, int which) {
    const uint2 b = terms[which * WARP];
    mma_bf16(part, a, b.x, b.y);
}

// One tile of a slice of F32: products of terms down to 2^-24 of the whole, the smallest first.
GR_DEVICE void multiply_f32(float (&part)[4], const unsigned (&first)[4], const unsigned (&second)[4],
                            const uint2* terms) {
    const float upper[4] = {bits_float(first[0]), bits_float(first[1]), bits_float(second[0]), bits_float(second[1])};
    const float lower[4] = {bits_float(first[2]), bits_float(first[3]), bits_float(second[2]), bits_float(second[3])};
    const Terms u = split(upper), l = split(lower);
    const unsigned high[4] = {u.high.x, l.high.x, u.high.y, l.high.y};
    const unsigned mid[4] = {u.mid.x, l.mid.x, u.mid.y, l.mid.y};
    const unsigned low[4] = {u.low.x, l.low.x, u.low.y, l.low.y};
    multiply_term(part, low, terms, 0);
    multiply_term(part, high, terms, 2);
    multiply_term(part, mid, terms, 1);
    multiply_term(part, mid, terms, 0);
    multiply_term(part, high, terms, 1);
    multiply_term(part, high, terms, 0);
}

// The pieces of a slice come tile after tile.
GR_DEVICE void add_slice_f32(float (&part)[2][4], Ring& ring, const uint2* terms) {
    GR_UNROLL
    for (int t = 0; t < 2; t++) {
        unsigned first[4], second[4];
        ring.take(first);
        ring.take(second);
        multiply_f32(part[t], first, second, terms);
        sync_warp();  // or the compiler splits both tiles at once, and registers run out
    }
}

// The lowest terms first.
GR_DEVICE void add_slice_bf16(float (&part)[2][4], Ring& ring, const uint2* terms) {
    unsigned first[4], second[4];
    ring.take(first);
    ring.take(second);
    GR_UNROLL
    for (int which = 2; which >= 0; which--) {
        multiply_term(part[0], first, terms, which);
        multiply_term(part[1], second, terms, which);
    }
}

// So many slices of numbers, from an even one on.
template <int S>
GR_DEVICE void add_slices(StripSums<S>& sums, Ring& ring, const uint2* terms, int bits, int slices) {
    const int step = bits == 32 ? 1 : 2;
    for (int slice = 0; slice < slices; slice += step) {
        float part[2][4] = {};
        if (bits == 32) {
            add_slice_f32(part, ring, terms);
        } else {
            add_slice_bf16(part, ring, terms);
            if (slice + 1 < slices) {
                add_slice_bf16(part, ring, terms + 3 * WARP);
            }
        }
        terms += step * 3 * WARP;
        GR_UNROLL
        for (int i = 0; i < 8; i++) {
            sums.add_float(sums.whole.sums[i / 4][0][i % 4], part[i / 4][i % 4]);
        }
    }
}

// Adds blocks first .. first + count - 1 of a strip's columns, of which the panel holds the operands from `at` on. What
// sums of codes lack is for whole panels: it comes with the first block of one. Takes the blocks' bytes from the ring.
// `runs`: of these blocks, of codes; `scales`: of this lane's row, null where a row has one scale or none.
template <int S>
GR_DEVICE void add_blocks(StripSums<S>& sums, Ring& ring, const RowShape& shape, const GrRuns& runs,
                          const Panel<S>& panel, int first, int at, int count, const BlockScales& scales) {
    if (!shape.codes()) {
        add_slices(sums, ring, panel.terms(2 * at), shape.bits, min(2 * count, (shape.width + 15) / 16 - 2 * first));
        return;
    }
    if (scales.scales != nullptr) {
        BlocksAhead<S, true>{sums, ring, panel.digits(at), panel.starts() + at * 4 * S, scales, first}.add(runs);
        return;
    }
    if (at == 0) {
        sums.whole.add_starts(panel.starts());
    }
    BlocksAhead<S, false>{sums, ring, panel.digits(at), nullptr, scales, first}.add(runs);
}

// What a strip came to: y[s] of this lane's row, before the scale of a row.
template <int S>
GR_DEVICE void finish_sums(float (&y)[S], const StripSums<S>& sums, const RowShape& shape, const Panel<S>& panel,
                           const BlockScales& scales, Turn<S>& turn) {
    if (shape.width == 0) {
        GR_UNROLL
        for (int s = 0; s < S; s++) {
            y[s] = 0;
        }
    } else if (shape.codes()) {
        sums.turn_codes(y, turn, *panel.shared, scales.scales != nullptr);
    } else {
        sums.turn_numbers(y, turn);
    }
}

}  // namespace gr::softmax
