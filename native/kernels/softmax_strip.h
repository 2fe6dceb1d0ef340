// A strip of 32 packed rows times columns of operands, by one warp: the sums behind every logit and every coordinate of
// z.
//
//   sum[i][s] = sum_k code[i][k] x[k][s]      rows i = 0..31, columns s = 0..8N-1, k = 0..16 slices-1
//
// Bytes: the strip's packed codes once, 16 a lane and load. Four loads are in flight at a time, those of the next strip
// behind those of this one; a step is what four of them hold: 1 slice of F32, 2 of BF16, 4 of INT8. Never
// materialised: a decoded number outside registers. Whatever N is and wherever operands come from, a column sees the
// same mma in the same order, so its sums are the same bits.
//
// Tensor cores cut where they add. So the sums of every two slices (of each where numbers are F32) are added up in
// rounded binary32: with four, logits in which large numbers cancel lost more than plain binary32 loses.
#pragma once

#include "softmax_operands.h"

namespace gr::softmax {

// What a warp reads of a packed matrix.
struct Strip {
    const uint8_t* at;  // its first piece, and 16 bytes further for every lane
    int shape;          // slices and codec in one register; no slices: there is nothing to read

    GR_DEVICE int codec() const { return shape & 3; }

    GR_DEVICE int slices() const { return shape >> 2; }

    GR_DEVICE int steps() const { return (slices() + (1 << codec()) - 1) >> codec(); }
};

GR_DEVICE Strip open_strip(const GrPacked& matrix, int number, int slices) {
    return {matrix.codes + number * matrix.strip_bytes + lane() * 16, slices * 4 + matrix.codec};
}

GR_DEVICE Strip no_strip() { return {nullptr, 0}; }

// The pieces from one step on.
struct Pieces {
    const uint8_t* at;
    int count;
};

GR_DEVICE Pieces pieces(const Strip& strip, int step) {
    return {strip.at + step * 2048, (4 * strip.slices() >> strip.codec()) - 4 * step};
}

GR_DEVICE void load_piece(uint4& piece, const Pieces& from, int i) {
    if (i < from.count) {
        piece = load16(from.at + i * 512);
    }
}

GR_DEVICE void load_pieces(uint4 (&ring)[4], const Pieces& from) {
    GR_UNROLL
    for (int i = 0; i < 4; i++) {
        load_piece(ring[i], from, i);
    }
}

// The scales of a strip's blocks, one for every two slices; this lane's row.
struct BlockScales {
    const uint8_t* scales;  // null where a row has one scale or none
    int shape;              // how many, none for a row beyond the matrix, and their bytes in one register

    GR_DEVICE float of(int block, const float* log8) const {
        return block < shape >> 3 ? stored::scale(scales, shape & 7, block, log8) : 0;
    }
};

GR_DEVICE BlockScales block_scales(const GrPacked& matrix, int strip) {
    if (matrix.scales == nullptr || matrix.scales_per_row == 1) {
        return {nullptr, 0};
    }
    const int64_t row = static_cast<int64_t>(strip) * STRIP + lane();
    const int count = row < matrix.rows ? matrix.scales_per_row : 0;
    return {matrix.scales + row * matrix.scales_per_row * matrix.scale_bytes, count * 8 + matrix.scale_bytes};
}

// What multiplies a whole row of sums, for this lane's row: 1 where sums are scaled already, 0 beyond the matrix.
GR_DEVICE float row_scale(const GrPacked& matrix, int row, const float* log8) {
    if (row >= matrix.rows) {
        return 0;
    }
    if (matrix.scales == nullptr || matrix.scales_per_row != 1) {
        return 1;
    }
    return stored::scale(matrix.scales, matrix.scale_bytes, row, log8);
}

// The place in a strip of row i = 0..3 of this lane; columns are 8 j + 2 (lane % 4) + e.
GR_DEVICE int lane_row(int i) { return lane() / 4 + 8 * i; }

template <int N>
struct Sums {
    float part[2][N][4];
    float total[2][N][4];

    GR_DEVICE void clear() {
        GR_UNROLL
        for (int i = 0; i < 8 * N; i++) {
            part[i / (4 * N)][i / 4 % N][i % 4] = 0;
            total[i / (4 * N)][i / 4 % N][i % 4] = 0;
        }
    }

    // Of row i, column 8 j + 2 (lane % 4) + e.
    GR_DEVICE float& of(int i, int j, int e) { return total[i / 2][j][i % 2 * 2 + e]; }

    GR_DEVICE void add_up() {
        GR_UNROLL
        for (int i = 0; i < 8 * N; i++) {
            float& p = part[i / (4 * N)][i / 4 % N][i % 4];
            total[i / (4 * N)][i / 4 % N][i % 4] += p;
            p = 0;
        }
    }

    // Sums in units of the operands, which are powers of two.
    template <class Unit>
    GR_DEVICE void add_up(const Unit& unit) {
        GR_UNROLL
        for (int j = 0; j < N; j++) {
            const float2 down = unit.down(j);
            GR_UNROLL
            for (int i = 0; i < 8; i++) {
                float& p = part[i / 4][j][i % 4];
                float& t = total[i / 4][j][i % 4];
                t = fma(p, i % 2 == 0 ? down.x : down.y, t);
                p = 0;
            }
        }
    }

    // The sums of the last two slices, in units of a scale a row.
    GR_DEVICE void scale_rows(float scale_of_lane) {
        GR_UNROLL
        for (int i = 0; i < 4; i++) {
            const float scale = shuffle(scale_of_lane, lane_row(i));
            GR_UNROLL
            for (int j = 0; j < 2 * N; j++) {
                part[i / 2][j / 2][i % 2 * 2 + j % 2] *= scale;
            }
        }
    }
};

// The lowest terms first; no product waits for the one before it.
template <int N, class Operands>
GR_DEVICE void multiply(Sums<N>& sums, const unsigned (&a0)[4], const unsigned (&a1)[4], Operands& operands,
                        int slice) {
    const typename Operands::Slice x = operands.terms(slice);
    GR_UNROLL
    for (int which = 2; which >= 0; which--) {
        GR_UNROLL
        for (int j = 0; j < N; j++) {
            const uint2 b = x.term(j, which);
            mma_bf16(sums.part[0][j], a0, b.x, b.y);
            mma_bf16(sums.part[1][j], a1, b.x, b.y);
        }
    }
}

// The same for integers, which are binary16.
template <int N, class Operands>
GR_DEVICE void multiply_integers(Sums<N>& sums, const unsigned (&a0)[4], const unsigned (&a1)[4], Operands& operands,
                                 int slice) {
    const typename Operands::Slice x = operands.halves(slice);
    GR_UNROLL
    for (int which = 1; which >= 0; which--) {
        GR_UNROLL
        for (int j = 0; j < N; j++) {
            const uint2 b = x.term(j, which);
            mma_f16(sums.part[0][j], a0, b.x, b.y);
            mma_f16(sums.part[1][j], a1, b.x, b.y);
        }
    }
}

template <int N, class Slice>
GR_DEVICE void multiply_term(float (&part)[N][4], const unsigned (&a)[4], const Slice& x, int which) {
    GR_UNROLL
    for (int j = 0; j < N; j++) {
        const uint2 b = x.term(j, which);
        mma_bf16(part[j], a, b.x, b.y);
    }
}

// One tile of F32: products of terms down to 2^-24 of the whole, the smallest first.
template <int N, class Slice>
GR_DEVICE void multiply_f32(float (&part)[N][4], const uint4& first, const uint4& second, const Slice& x) {
    const float upper[4] = {bits_float(first.x), bits_float(first.y), bits_float(second.x), bits_float(second.y)};
    const float lower[4] = {bits_float(first.z), bits_float(first.w), bits_float(second.z), bits_float(second.w)};
    const Terms u = split(upper), l = split(lower);
    const unsigned high[4] = {u.high.x, l.high.x, u.high.y, l.high.y};
    const unsigned mid[4] = {u.mid.x, l.mid.x, u.mid.y, l.mid.y};
    const unsigned low[4] = {u.low.x, l.low.x, u.low.y, l.low.y};
    multiply_term(part, low, x, 0);
    multiply_term(part, high, x, 2);
    multiply_term(part, mid, x, 1);
    multiply_term(part, mid, x, 0);
    multiply_term(part, high, x, 1);
    multiply_term(part, high, x, 0);
}

template <int N, class Operands>
GR_DEVICE void step_f32(Sums<N>& sums, uint4 (&ring)[4], int step, Operands& operands, const Pieces& next) {
    const typename Operands::Slice x = operands.terms(step);
    GR_UNROLL
    for (int t = 0; t < 2; t++) {
        const uint4 first = ring[2 * t], second = ring[2 * t + 1];
        load_piece(ring[2 * t], next, 2 * t);
        load_piece(ring[2 * t + 1], next, 2 * t + 1);
        multiply_f32(sums.part[t], first, second, x);
        sync_warp();  // or the compiler splits both tiles at once, and registers run out
    }
    sums.add_up();
}

template <int N, class Operands>
GR_DEVICE void step_bf16(Sums<N>& sums, uint4 (&ring)[4], const Strip& strip, int step, Operands& operands,
                         const Pieces& next) {
    GR_UNROLL
    for (int i = 0; i < 2; i++) {
        const uint4 first = ring[2 * i], second = ring[2 * i + 1];
        load_piece(ring[2 * i], next, 2 * i);
        load_piece(ring[2 * i + 1], next, 2 * i + 1);
        if (2 * step + i < strip.slices()) {
            const unsigned a0[4] = {first.x, first.y, first.z, first.w};
            const unsigned a1[4] = {second.x, second.y, second.z, second.w};
            multiply(sums, a0, a1, operands, 2 * step + i);
        }
    }
    sums.add_up();
}

// Adds up two slices of integers. Where there are none, sums are 0 in any unit: without a branch they stay in their
// registers.
template <int N, class Operands>
GR_DEVICE void add_up_unit(Sums<N>& sums, const Strip& strip, int slice, int first_slice, bool blocks, float scale,
                           const Operands& operands) {
    if (blocks) {
        sums.scale_rows(scale);
    }
    sums.add_up(operands.unit(slice < strip.slices() ? slice : first_slice));
}

template <int N, class Operands>
GR_DEVICE void step_int8(Sums<N>& sums, uint4 (&ring)[4], const Strip& strip, int step, const BlockScales& scales,
                         const float* log8, Operands& operands, const Pieces& next) {
    const bool blocks = scales.scales != nullptr;
    const float scale[2] = {scales.of(2 * step, log8), scales.of(2 * step + 1, log8)};
    GR_UNROLL
    for (int i = 0; i < 4; i++) {
        const int slice = 4 * step + i;
        const uint4 piece = ring[i];
        load_piece(ring[i], next, i);
        if (slice < strip.slices()) {
            unsigned a0[4], a1[4];
            decode_int8(piece.x, piece.y, a0);
            decode_int8(piece.z, piece.w, a1);
            multiply_integers(sums, a0, a1, operands, slice);
        }
        if (i % 2 == 1) {
            add_up_unit(sums, strip, slice - 1, 4 * step, blocks, scale[i / 2], operands);
        }
    }
}

// Adds a step of a strip, which the ring holds, and fills the ring with the pieces that come next.
template <int N, class Operands>
GR_DEVICE void add_step(Sums<N>& sums, uint4 (&ring)[4], const Strip& strip, int step, const BlockScales& scales,
                        const float* log8, Operands& operands, const Pieces& next) {
    switch (strip.codec()) {
        case GR_F32:
            step_f32(sums, ring, step, operands, next);
            break;
        case GR_BF16:
            step_bf16(sums, ring, strip, step, operands, next);
            break;
        default:
            step_int8(sums, ring, strip, step, scales, log8, operands, next);
    }
}

// A strip from a step on, with nothing behind it. Its sums are not scaled yet where a row has one scale.
GR_DEVICE void add_strip(Sums<1>& sums, const Strip& strip, int first_step, const BlockScales& scales,
                         const float* log8, const PlainNumbers& numbers) {
    if (strip.slices() == 0) {
        return;
    }
    uint4 ring[4] = {};
    load_pieces(ring, pieces(strip, first_step));
    PlainOperands operands;
    operands.numbers = numbers;
    operands.start(first_step << strip.codec(), strip.slices());
    for (int step = first_step; step < strip.steps(); step++) {
        add_step(sums, ring, strip, step, scales, log8, operands, pieces(strip, step + 1));
    }
}

}  // namespace gr::softmax
