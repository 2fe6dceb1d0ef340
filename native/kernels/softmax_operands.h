// What strips are multiplied with: coordinates or hidden states of eight columns of states each, split for the tensor
// cores, from shared memory or from where they lie.
#pragma once

#include "softmax_numbers.h"

namespace gr::softmax {

// Whether operands are halves for the numbers of a packed matrix, or terms of bfloat16.
GR_DEVICE bool takes_halves(const GrPacked& matrix) { return matrix.codec == GR_INT8; }

// Operands in shared memory, in the order in which lanes read them: ((slice * N + j) * 3 + part) * 32 + lane; the parts
// are the high, mid and low term, or the high and low half and, in even slices, what sums of eight columns are
// multiplied by.
template <int N>
struct SharedOperands {
    const uint2* panel;
    int first;  // slice

    struct Slice {
        const uint2* at;

        GR_DEVICE uint2 term(int j, int which) const { return at[(j * 3 + which) * WARP]; }
    };

    // From an even slice on.
    struct Unit {
        const float2* at;

        GR_DEVICE float2 down(int j) const { return at[j * 3 * WARP]; }
    };

    GR_DEVICE Slice terms(int slice) const { return {panel + (slice - first) * N * 3 * WARP + lane()}; }

    GR_DEVICE Slice halves(int slice) const { return terms(slice); }

    GR_DEVICE Unit unit(int slice) const {
        const uint2* at = panel + ((slice - first) * N * 3 + 2) * WARP;
        return {reinterpret_cast<const float2*>(at) + lane() % 4};
    }
};

// What eight columns of a panel, from their high half of an even slice on, are multiplied by.
GR_DEVICE float* downs(uint2* high) { return reinterpret_cast<float*>(high + 2 * WARP); }

// The numbers of a state as they lie in memory, of which the first `columns` count; the first can be read even if none
// counts.
struct PlainNumbers {
    const float* numbers;
    int columns;

    // This lane's four of a slice, 0 beyond what counts. Chosen after an address that is always good: with a condition
    // on each load they would wait for each other.
    GR_DEVICE void load(float (&x)[4], int slice) const {
        GR_UNROLL
        for (int i = 0; i < 4; i++) {
            const int column = 16 * slice + 2 * (lane() % 4) + i % 2 + i / 2 * 8;
            const float number = numbers[column < columns ? column : 0];
            x[i] = column < columns ? number : 0;
        }
    }
};

// The largest of 32 numbers of a column: eight each in four neighbouring lanes.
GR_DEVICE unsigned largest_of_unit(const float (&even)[4], const float (&odd)[4]) {
    unsigned most = 0;
    GR_UNROLL
    for (int i = 0; i < 4; i++) {
        most = max(most, max(magnitude_bits(even[i]), magnitude_bits(odd[i])));
    }
    most = max(most, shuffle_xor(most, 1));
    return max(most, shuffle_xor(most, 2));
}

// Operands as they lie in memory, of this lane's column: slices one after the other from an even one on, the numbers of
// the next ones in flight. For N = 1.
struct PlainOperands {
    static constexpr int AHEAD = 4;

    PlainNumbers numbers;
    int end;  // of the slices, even
    HalfScale scale;
    float ahead[AHEAD][4];

    struct Slice {
        uint2 parts[3];

        GR_DEVICE uint2 term(int, int which) const { return parts[which]; }
    };

    struct Unit {
        float2 of_columns;

        GR_DEVICE float2 down(int) const { return of_columns; }
    };

    GR_DEVICE void start(int first, int end_of_slices) {
        end = (end_of_slices + 1) & ~1;
        GR_UNROLL
        for (int i = 0; i < AHEAD; i++) {
            numbers.load(ahead[i], first + i);
        }
    }

    GR_DEVICE Slice terms(int slice) {
        const Terms terms = split(ahead[0]);
        advance(slice);
        return {{terms.high, terms.mid, terms.low}};
    }

    GR_DEVICE Slice halves(int slice) {
        if (slice % 2 == 0) {
            scale = half_scale(largest_of_unit(ahead[0], ahead[1]));
        }
        const Halves halves = split(ahead[0], scale.up);
        advance(slice);
        return {{halves.high, halves.low, halves.low}};
    }

    // Of the last slices; a lane's sums are those of columns 2 (lane % 4) and the next.
    GR_DEVICE Unit unit(int) const {
        const int owner = lane() % 4 * 8;
        return {make_float2(shuffle(scale.down, owner), shuffle(scale.down, owner + 4))};
    }

    GR_DEVICE void advance(int slice) {
        GR_UNROLL
        for (int i = 0; i < 4 * (AHEAD - 1); i++) {
            ahead[i / 4][i % 4] = ahead[i / 4 + 1][i % 4];
        }
        if (slice + AHEAD < end) {
            numbers.load(ahead[AHEAD - 1], slice + AHEAD);
        }
    }
};

}  // namespace gr::softmax
