// A strip of 32 packed rows times the operands of S states, by one warp: the sums behind every logit and every
// coordinate of z.
//
//   y[i][s] = sum_k value[i][k] x[k][s]      rows i = 0..31, states s = 0..S-1, before the scale of a row
//
// Bytes: the strip's packed numbers once, by asynchronous copies of 16 a lane that run two to three pieces of 1,024 ahead
// of the sums, over strips that follow each other. Never materialised: a decoded number outside registers.
//
// Codes: whole numbers of 32 bits, exact, so in any order; what is left to binary32 is four digits and a scale. A block
// of 4 bits is one load, eight masks and two mma for each two states. Where there is a scale for every block, sums go
// into binary32 block by block.
// F32 and BF16: tensor cores cut where they add. So the sums of every two slices (of each where numbers are F32) are
// added up in rounded binary32: with four, logits in which large numbers cancel lost more than plain binary32 loses.
#pragma once

#include "softmax_operands.h"

namespace gr::softmax {

constexpr int WARPS = 8;
constexpr int BLOCK = WARPS * WARP;

// The place in a strip of row i = 0..3 of this lane of a product.
GR_DEVICE int lane_row(int i) { return lane() / 4 + 8 * i; }

// Packed bytes on their way to a warp: what follows each other in memory, in the order in which it is taken.
class Ring {
public:
    GR_DEVICE explicit Ring(uint8_t* memory) : memory(memory) {}

    // From here on, so many bytes.
    GR_DEVICE void start(const uint8_t* from, int bytes) {
        sync_warp();  // all have taken what was there
        next = from + lane() * 16;
        left = bytes - lane() * 16;
        issued = arrived = taken = 0;
        issue();
        issue();
    }

    // Words of a block, as softmax.h lays them out.
    template <int Words>
    GR_DEVICE void take(unsigned (&word)[Words]) {
        await(Words * 128);
        int i = 0;
        GR_UNROLL
        for (; i + 4 <= Words; i += 4) {
            const uint4 four = *at<uint4>(i * 128);
            word[i] = four.x;
            word[i + 1] = four.y;
            word[i + 2] = four.z;
            word[i + 3] = four.w;
        }
        if (Words % 4 >= 2) {
            const uint2 two = *at<uint2>(i * 128);
            word[i % Words] = two.x;
            word[(i + 1) % Words] = two.y;
        }
        if (Words % 2 == 1) {
            word[Words - 1] = *at<unsigned>((Words - 1) * 128);
        }
        taken += Words * 128;
    }

private:
    static constexpr int PIECE = 1024, PIECES = 4;

    uint8_t* memory;
    const uint8_t* next;  // of this lane
    int left;             // bytes from there on
    int issued, arrived, taken;

    template <class T>
    GR_DEVICE const T* at(int offset) const {
        const int place = taken + offset + lane() * static_cast<int>(sizeof(T));
        return reinterpret_cast<const T*>(memory + (place & (PIECE * PIECES - 1)));
    }

    GR_DEVICE void issue() {
        uint8_t* to = memory + (issued & (PIECE * PIECES - 1)) + lane() * 16;
        GR_UNROLL
        for (int i = 0; i < PIECE; i += 512) {
            if (i < left) {
                copy_async16(to + i, next + i);
            }
        }
        commit_copies();
        issued += PIECE;
        next += PIECE;
        left -= PIECE;
    }

    // What is taken at a time begins in the last piece but one or later: the one before it is written again, once all
    // lanes are here.
    GR_DEVICE void await(int bytes) {
        if (taken + bytes > arrived) {
            wait_copies<1>();
            sync_warp();
            issue();
            arrived += PIECE;
        }
    }
};

// Whole and half blocks first .. first + count - 1 of a strip.
GR_DEVICE GrRuns clip(const GrRuns& runs, int first, int count) {
    GrRuns clipped;
    int at = 0;
    GR_UNROLL
    for (int b = 7; b >= 0; b--) {
        const int blocks = b == 6 ? 0 : runs.blocks[b];
        clipped.blocks[b] = static_cast<uint16_t>(max(min(at + blocks, first + count) - max(at, first), 0));
        at += blocks;
    }
    clipped.blocks[6] = static_cast<uint16_t>(at >= first && at < first + count ? runs.blocks[6] : 0);
    return clipped;
}

// Bytes of such blocks.
GR_DEVICE int bytes_of(const GrRuns& runs) {
    int words = runs.blocks[6] / 2;
    GR_UNROLL
    for (int b = 0; b < 8; b++) {
        words += b == 6 ? 0 : (b + 1) * runs.blocks[b];
    }
    return words * 128;
}

// Bytes of blocks first .. first + count - 1 of any form.
GR_DEVICE int bytes_of(const GrPacked& matrix, int first, int count) {
    if (has_codes(matrix.form)) {
        return bytes_of(clip(matrix.runs, first, count));
    }
    const int slices = (matrix.form.width + 15) / 16;
    return max(min(2 * count, slices - 2 * first), 0) * 32 * matrix.form.bits * 2;
}

// The scales of a strip's blocks; this lane's row.
struct BlockScales {
    const uint8_t* scales;  // null where a row has one scale or none
    const float* log8;
    int bytes;  // 0 for a row beyond the matrix

    GR_DEVICE float of(int block) const { return bytes == 0 ? 0 : stored::scale(scales, bytes, block, log8); }
};

GR_DEVICE BlockScales block_scales(const GrPacked& matrix, int strip, const float* log8) {
    if (!scales_blocks(matrix.form)) {
        return {nullptr, log8, 0};
    }
    const int64_t row = static_cast<int64_t>(strip) * STRIP + lane();
    const int bytes = matrix.form.scale_bytes;
    return {matrix.scales + row * matrix.form.scales_per_row * bytes, log8, row < matrix.rows ? bytes : 0};
}

// What multiplies a whole row of sums, for this lane's row: 1 where sums are scaled already, 0 beyond the matrix.
GR_DEVICE float row_scale(const GrPacked& matrix, int row, const float* log8) {
    if (row >= matrix.rows) {
        return 0;
    }
    if (matrix.scales == nullptr || scales_blocks(matrix.form)) {
        return 1;
    }
    return stored::scale(matrix.scales, matrix.form.scale_bytes, row, log8);
}

// Where the sums of a strip turn so that a lane has a row: columns of 32 numbers, so far apart that lanes that write
// meet in no bank.
template <int S>
struct Turn {
    static constexpr int COLUMN = 40;
    static constexpr int COLUMNS = S == 8 ? 16 : 8;

    float memory[COLUMNS * COLUMN];
};

// The sums of a strip, chunk of its columns after chunk. Of codes a column of a product is a digit (see Panel), of numbers a
// state, of which the first S count.
template <int S>
struct StripSums {
    static constexpr int TILES = S / 2;

    int whole[2][TILES][4];  // of codes; of numbers those of tile 0, as the bits of binary32
    float pairs[TILES][4];   // of codes: 256 times the one digit and the other of column 2 (lane % 4), by row i

    GR_DEVICE void clear() {
        GR_UNROLL
        for (int i = 0; i < 4 * TILES; i++) {
            whole[0][i / 4][i % 4] = whole[1][i / 4][i % 4] = 0;
            pairs[i / 4][i % 4] = 0;
        }
    }

    GR_DEVICE void add_starts(const int* starts) {
        GR_UNROLL
        for (int i = 0; i < 4 * TILES; i++) {
            const int start = starts[8 * (i / 4) + 2 * (lane() % 4) + i % 2];
            whole[0][i / 4][i % 4] += start;
            whole[1][i / 4][i % 4] += start;
        }
    }

    GR_DEVICE void add(const unsigned (&a)[2][4], const uint2* digits) {
        GR_UNROLL
        for (int j = 0; j < TILES; j++) {
            const uint2 b = digits[j * WARP];
            mma_u8s8(whole[0][j], a[0], b.x, b.y);
            mma_u8s8(whole[1][j], a[1], b.x, b.y);
        }
    }

    GR_DEVICE void add_half(const unsigned (&a)[2][2], const uint2* digits) {
        GR_UNROLL
        for (int j = 0; j < TILES; j++) {
            const unsigned b = digits[j * WARP].x;
            mma_u8s8_half(whole[0][j], a[0][0], a[0][1], b);
            mma_u8s8_half(whole[1][j], a[1][0], a[1][1], b);
        }
    }

    // Takes whole sums to pairs, times a scale for every row of which a lane has its own.
    GR_DEVICE void fold(float scale_of_lane) {
        GR_UNROLL
        for (int row = 0; row < 4; row++) {
            const float scale = shuffle(scale_of_lane, lane_row(row));
            GR_UNROLL
            for (int j = 0; j < TILES; j++) {
                pairs[j][row] = fma(pair(j, row), scale, pairs[j][row]);
                whole[row / 2][j][row % 2 * 2] = whole[row / 2][j][row % 2 * 2 + 1] = 0;
            }
        }
    }

    GR_DEVICE float pair(int j, int row) const {
        const int(&four)[4] = whole[row / 2][j];
        return fma(static_cast<float>(four[row % 2 * 2]), 256.0f, static_cast<float>(four[row % 2 * 2 + 1]));
    }

    // y[s] of this lane's row; `several`: there were scales for blocks.
    GR_DEVICE void turn_codes(float (&y)[S], Turn<S>& turn, const OperandMemory<S>& shared, bool several) const {
        GR_UNROLL
        for (int i = 0; i < 4 * TILES; i++) {
            turn.memory[(i / 4 * 4 + lane() % 4) * Turn<S>::COLUMN + lane_row(i % 4)] =
                several ? pairs[i / 4][i % 4] : pair(i / 4, i % 4);
        }
        sync_warp();
        GR_UNROLL
        for (int s = 0; s < S; s++) {
            const float* high = turn.memory + 2 * s * Turn<S>::COLUMN + lane();
            y[s] = fma(high[0], 65536.0f, high[Turn<S>::COLUMN]) * shared.unit[s].down;
        }
        sync_warp();
    }

    GR_DEVICE void turn_numbers(float (&y)[S], Turn<S>& turn) const {
        GR_UNROLL
        for (int i = 0; i < 8; i++) {
            turn.memory[(lane() % 4 * 2 + i % 2) * Turn<S>::COLUMN + lane_row(i / 2)] =
                bits_float(static_cast<unsigned>(whole[i / 4][0][i % 4]));
        }
        sync_warp();
        GR_UNROLL
        for (int s = 0; s < S; s++) {
            y[s] = turn.memory[s * Turn<S>::COLUMN + lane()];
        }
        sync_warp();
    }
};

// What a warp adds up: where it reads operands and which blocks are to come.
template <int S>
struct BlocksAhead {
    const uint2* digits;
    const int* starts;  // of blocks, where they have scales
    BlockScales scales;
    int block;  // of the matrix

    GR_DEVICE void begin(StripSums<S>& sums) const {
        if (scales.scales != nullptr) {
            sums.add_starts(starts);
        }
    }

    GR_DEVICE void end(StripSums<S>& sums) {
        digits += S / 2 * WARP;
        if (scales.scales != nullptr) {
            sums.fold(scales.of(block++));
            starts += 4 * S;
        }
    }
};

template <int Bits, int S>
GR_DEVICE void add_run(StripSums<S>& sums, Ring& ring, BlocksAhead<S>& ahead, int blocks) {
    for (; blocks > 0; blocks--) {
        unsigned word[Bits], a[2][4];
        ring.take(word);
        decode_block<Bits>(word, a);
        ahead.begin(sums);
        sums.add(a, ahead.digits);
        ahead.end(sums);
    }
}

template <int Bits, int S>
GR_DEVICE void add_half(StripSums<S>& sums, Ring& ring, BlocksAhead<S>& ahead) {
    unsigned word[Bits / 2], a[2][2];
    ring.take(word);
    decode_half<Bits>(word, a);
    ahead.begin(sums);
    sums.add_half(a, ahead.digits);
    ahead.end(sums);
}

template <int S>
GR_DEVICE void add_runs(StripSums<S>& sums, Ring& ring, BlocksAhead<S>& ahead, const GrRuns& runs) {
    add_run<8>(sums, ring, ahead, runs.blocks[7]);
    add_run<6>(sums, ring, ahead, runs.blocks[5]);
    add_run<5>(sums, ring, ahead, runs.blocks[4]);
    add_run<4>(sums, ring, ahead, runs.blocks[3]);
    add_run<3>(sums, ring, ahead, runs.blocks[2]);
    add_run<2>(sums, ring, ahead, runs.blocks[1]);
    add_run<1>(sums, ring, ahead, runs.blocks[0]);
    switch (runs.blocks[6]) {
        case 8:
            add_half<8>(sums, ring, ahead);
            break;
        case 4:
            add_half<4>(sums, ring, ahead);
            break;
        case 2:
            add_half<2>(sums, ring, ahead);
            break;
        default:
            break;
    }
}

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
            int& total = sums.whole[i / 4][0][i % 4];
            total = static_cast<int>(float_bits(bits_float(static_cast<unsigned>(total)) + part[i / 4][i % 4]));
        }
    }
}

// Adds blocks first .. first + count - 1 of a strip's columns, of which the panel holds the operands from `at` on. What
// sums of codes lack is for whole panels: it comes with the first block of one. Takes the blocks' bytes from the ring.
// `runs`: of these blocks, of codes; `scales`: of this lane's row, null where a row has one scale or none.
template <int S>
GR_DEVICE void add_blocks(StripSums<S>& sums, Ring& ring, const GrRowForm& form, const GrRuns& runs,
                          const Panel<S>& panel, int first, int at, int count, const BlockScales& scales) {
    if (!has_codes(form)) {
        add_slices(sums, ring, panel.terms(2 * at), form.bits, min(2 * count, (form.width + 15) / 16 - 2 * first));
        return;
    }
    const bool several = scales.scales != nullptr;
    BlocksAhead<S> ahead{panel.digits(at), panel.starts() + (several ? at : 0) * 4 * S, scales, first};
    if (!several && at == 0) {
        sums.add_starts(ahead.starts);
    }
    add_runs(sums, ring, ahead, runs);
}

// What a strip came to: y[s] of this lane's row, before the scale of a row.
template <int S>
GR_DEVICE void finish_sums(float (&y)[S], const StripSums<S>& sums, const GrRowForm& form, const Panel<S>& panel,
                           Turn<S>& turn) {
    if (form.width == 0) {
        GR_UNROLL
        for (int s = 0; s < S; s++) {
            y[s] = 0;
        }
    } else if (has_codes(form)) {
        sums.turn_codes(y, turn, *panel.shared, scales_blocks(form));
    } else {
        sums.turn_numbers(y, turn);
    }
}

}  // namespace gr::softmax
