// What strips are multiplied with: the coordinates or hidden states of S states, in shared memory as the tensor cores
// take them. A block of threads prepares them once for all strips of a group.
//
//   codes  X_j = round(x_j factor_j up), four signed bytes of it (see softmax_codes.h); where sums begin
//   F32, BF16   x_j as high + mid + low in bfloat16
#pragma once

#include "softmax_numbers.h"

namespace gr::softmax {

GR_DEVICE bool has_codes(const GrRowForm& form) { return form.bits <= 8; }

// Whether a row has a scale for every block of codes.
GR_DEVICE bool scales_blocks(const GrRowForm& form) { return form.scales_per_row > 1; }

GR_DEVICE int blocks_of(const GrRowForm& form) { return (form.width + BLOCK_DIRECTIONS - 1) / BLOCK_DIRECTIONS; }

// What the threads of a block share about operands besides the panel.
template <int S>
struct OperandMemory {
    unsigned largest[8][S];  // of every warp, the bits
    Unit unit[S];            // of every state
};

// Operands of S states for some blocks of 32 columns, from `first` on. States are pairs: columns 4 s + i of tile j of a
// product of codes are the digits i = 0..3 of states 2 j + s.
template <int S>
struct Panel {
    static constexpr int TILES = S / 2;
    static constexpr int TERMS = 3;

    uint2* memory;
    OperandMemory<S>* shared;
    int bytes;
    int most_blocks;  // of codes that the memory has room for

    GR_DEVICE Panel(uint2* memory, OperandMemory<S>* shared, int bytes)
        : memory(memory), shared(shared), bytes(bytes), most_blocks(bytes / (TILES * GR_DIGIT_BYTES)) {}

    // Blocks of a matrix that fit.
    GR_DEVICE int fitting(const GrRowForm& form) const {
        return has_codes(form) ? most_blocks : bytes / GR_TERM_BYTES;
    }

    // Of this lane: [(block * TILES + j) * 32].
    GR_DEVICE const uint2* digits(int block) const { return memory + block * TILES * WARP + lane(); }

    // Of slices of 16 columns: [(slice * 3 + term) * 32], the high, mid and low one; columns are states.
    GR_DEVICE const uint2* terms(int slice) const { return memory + slice * TERMS * WARP + lane(); }

    // [block][8 j + column]; the first alone where a row has one scale.
    GR_DEVICE int* starts() const { return reinterpret_cast<int*>(memory + most_blocks * TILES * WARP); }

    // Loads blocks first .. first + count - 1; all threads of the block. numbers(s): those of a state, or null.
    template <class Numbers>
    GR_DEVICE void load(const GrRowForm& form, const Numbers& numbers, int first, int count) const {
        sync_block();
        if (has_codes(form)) {
            const float* x[S];
            GR_UNROLL
            for (int s = 0; s < S; s++) {
                x[s] = numbers(s);
            }
            find_units(form, x, count);
            load_digits(form, x, first, count);
        } else {
            load_terms(form, numbers, first, count);
        }
        sync_block();
    }

private:
    // The unit of every state, from all its numbers; clears starts.
    GR_DEVICE void find_units(const GrRowForm& form, const float* const (&x)[S], int count) const {
        const int thread = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
        for (int i = thread; i < count * 8 * TILES; i += threads) {
            starts()[i] = 0;
        }
        unsigned most[S] = {};
        for (int d = thread; d < form.width; d += threads) {
            const float factor = direction_of(form, d).factor;
            GR_UNROLL
            for (int s = 0; s < S; s++) {
                most[s] = max(most[s], x[s] == nullptr ? 0 : magnitude_bits(x[s][d] * factor));
            }
        }
        GR_UNROLL
        for (int s = 0; s < S; s++) {
            const unsigned of_warp = reduce_warp(most[s], [](unsigned a, unsigned b) { return max(a, b); });
            if (lane() == 0) {
                shared->largest[warp()][s] = of_warp;
            }
        }
        sync_block();
        if (thread < S) {
            unsigned largest = 0;
            for (int w = 0; w < threads / WARP; w++) {
                largest = max(largest, shared->largest[w][thread]);
            }
            shared->unit[thread] = unit_of(largest);
        }
        sync_block();
    }

    // A lane takes two directions, half a warp a block.
    GR_DEVICE void load_digits(const GrRowForm& form, const float* const (&x)[S], int first, int count) const {
        const int threads = static_cast<int>(blockDim.x);
        const bool several = scales_blocks(form);
        const int in_block = lane() % 16 * 2;
        for (int base = 2 * warp(); base < count; base += threads / 16) {
            const int block = base + lane() / 16;
            const int d = (first + block) * BLOCK_DIRECTIONS + in_block;
            const Direction of[2] = {direction_of(form, d), direction_of(form, d + 1)};
            GR_UNROLL
            for (int s = 0; s < S; s++) {
                const Unit& unit = shared->unit[s];
                Digits digits[2];
                GR_UNROLL
                for (int e = 0; e < 2; e++) {
                    const float number = x[s] != nullptr && d + e < form.width ? x[s][d + e] * of[e].factor : 0;
                    digits[e] = digits_of(static_cast<int>(rintf(number * unit.first * unit.up)));
                }
                int offset[2][4];
                offsets_of(digits[0], of[0].twice_offset, offset[0]);
                offsets_of(digits[1], of[1].twice_offset, offset[1]);
                GR_UNROLL
                for (int i = 0; i < 4; i++) {
                    int sum = offset[0][i] + offset[1][i];
                    GR_UNROLL
                    for (int lanes = 8; lanes > 0; lanes /= 2) {
                        sum += shuffle_xor(sum, lanes);
                    }
                    if (block < count) {
                        if (lane() % 16 == 0) {
                            atomic_add(&starts()[((several ? block : 0) * S + s) * 4 + i], -sum);
                        }
                        // The lane of this column and these directions, and the byte of its two registers.
                        const int to = (block * TILES + s / 2) * WARP + (s % 2 * 4 + i) * 4 + in_block % 16 / 4;
                        uint8_t* bytes = reinterpret_cast<uint8_t*>(memory + to) + in_block / 16 * 4 + in_block % 4;
                        *reinterpret_cast<unsigned short*>(bytes) = static_cast<unsigned short>(
                            (digits[0].digit[i] & 0xff) | (digits[1].digit[i] & 0xff) << 8);
                    }
                }
            }
        }
    }

    template <class Numbers>
    GR_DEVICE void load_terms(const GrRowForm& form, const Numbers& numbers, int first, int count) const {
        const float* row = lane() / 4 < S ? numbers(lane() / 4) : nullptr;
        for (int slice = warp(); slice < 2 * count; slice += static_cast<int>(blockDim.x) / WARP) {
            float x[4];
            GR_UNROLL
            for (int i = 0; i < 4; i++) {
                const int column = 32 * first + 16 * slice + 2 * (lane() % 4) + i % 2 + i / 2 * 8;
                x[i] = row != nullptr && column < form.width ? row[column] : 0;
            }
            const Terms terms = split(x);
            uint2* to = memory + slice * TERMS * WARP + lane();
            to[0] = terms.high;
            to[WARP] = terms.mid;
            to[2 * WARP] = terms.low;
        }
    }
};

}  // namespace gr::softmax
