// Packed codes as the left operand of an integer product, and the operands that meet them: the layout of codes in
// softmax.h.
//
// A lane's words of a block of 32 directions become the registers A of two tiles of mma_u8s8: whole codes c in the
// lower half of the directions, and 2^shift c in the upper half, which spares shifts: masks are nearly all there is to
// decoding. What a code stands for, m c - o (see Direction), is in the operand and in where sums begin:
//
//   sum_j value_ij x_j = sum_j (2^shift_j c_ij) (m_j 2^-shift_j x_j) - sum_j o_j x_j
#pragma once

#include "groupreduce/softmax.h"
#include "stored_rows.h"

namespace gr::softmax {

constexpr int BLOCK_DIRECTIONS = 32;  // of a block
constexpr int STRIP = 32;       // rows

// The width of the block of a direction's 32, or what is left of them: that of its widest code, the first.
GR_DEVICE int block_bits(const GrRowForm& form, int direction) {
    const int first = direction & ~(BLOCK_DIRECTIONS - 1);
    const int bits = stored::bits_of(form, first);
    if (form.width - first <= BLOCK_DIRECTIONS / 2) {
        return bits <= 2 ? 2 : bits <= 4 ? 4 : 8;
    }
    return bits == 7 ? 8 : bits;
}

// How far the codes of the upper half of a block's directions are shifted.
GR_DEVICE int upper_shift(int block_bits) { return 8 - max(block_bits, 4); }

// How the codes of a direction become values: by a factor of the operand, and by what sums lack.
struct Direction {
    float factor;      // of the operand; 0 where there is no code
    int twice_offset;  // what is to be subtracted, twice, for each unit of the operand so multiplied
};

GR_DEVICE Direction direction_of(const GrRowForm& form, int direction) {
    if (direction >= form.width) {
        return {0, 0};
    }
    const int bits = stored::bits_of(form, direction);
    const int shift = (direction & BLOCK_DIRECTIONS / 2) != 0 ? upper_shift(block_bits(form, direction)) : 0;
    const int step = bits == 8 ? 1 : 2 * stored::half_step(bits);
    const int twice = bits == 8 ? 256 : (1 << bits) - 1;
    return {static_cast<float>(step) / static_cast<float>(1 << shift), twice << shift};
}

GR_DEVICE unsigned rotate_right(unsigned word, int bits) { return bits == 0 ? word : word >> bits | word << (32 - bits); }

// The words of a block of so many bits to registers A: tile t has a[t]. A whole block.
template <int Bits>
GR_DEVICE void decode_block(const unsigned (&word)[Bits], unsigned (&a)[2][4]) {
    // Of 3 bits, the codes that the upper bits of all three words make.
    const unsigned rest =
        Bits != 3 ? 0
                  : (word[0] >> 3 & 0x11111111u) | (word[Bits / 3] >> 2 & 0x22222222u) | (word[Bits - 1] >> 1 & 0x44444444u);
    GR_UNROLL
    for (int pair = 0; pair < 4; pair++) {  // the rows of a register, and those 8 further on
        unsigned& low = a[pair / 2][pair % 2];
        unsigned& high = a[pair / 2][pair % 2 + 2];
        if (Bits == 8) {
            low = word[(2 * pair) % Bits];
            high = word[(2 * pair + 1) % Bits];
        } else if (Bits == 4) {
            low = word[pair % Bits] & 0x0f0f0f0fu;
            high = word[pair % Bits] & 0xf0f0f0f0u;
        } else if (Bits == 3) {
            low = (pair < 3 ? word[pair % Bits] : rest) & 0x07070707u;
            high = (pair < 3 ? word[pair % Bits] : rest) & 0x70707070u;
        } else if (Bits == 2) {
            const unsigned fields = word[pair / 2 % Bits] >> pair % 2 * 2;
            low = fields & 0x03030303u;
            high = fields & 0x30303030u;
        } else if (Bits == 1) {
            const unsigned fields = word[0] >> pair;
            low = fields & 0x01010101u;
            high = fields & 0x10101010u;
        } else {
            // A nibble, and what is beside it once a word is turned: two bits or one of a code.
            const unsigned beside = Bits == 6 ? rotate_right(word[(4 + pair / 2) % Bits], pair % 2 * 4)
                                              : rotate_right(word[4 % Bits], pair * 2);
            const unsigned mask = Bits == 6 ? 0x30303030u : 0x10101010u;
            low = (word[pair % Bits] & 0x0f0f0f0fu) | (beside & mask);
            high = (word[pair % Bits] & 0xf0f0f0f0u) | (beside & (Bits == 6 ? mask >> 2 : mask >> 1));
        }
    }
}

// The same of half a block, of 2, 4 or 8 bits: the lower directions only.
template <int Bits>
GR_DEVICE void decode_half(const unsigned (&word)[Bits / 2], unsigned (&a)[2][2]) {
    GR_UNROLL
    for (int pair = 0; pair < 4; pair++) {
        a[pair / 2][pair % 2] = Bits == 8   ? word[pair % (Bits / 2)]
                                : Bits == 4 ? word[pair / 2 % (Bits / 2)] >> pair % 2 * 4 & 0x0f0f0f0fu
                                            : word[0] >> pair * 2 & 0x03030303u;
    }
}

// Four digits of a whole number, the highest first: signed bytes, each 256 times the next. |number| <= 127 * 2^24.
struct Digits {
    int8_t digit[4];
};

GR_DEVICE Digits digits_of(int number) {
    Digits digits;
    GR_UNROLL
    for (int i = 3; i >= 0; i--) {
        digits.digit[i] = static_cast<int8_t>(number & 0xff);
        number = (number - digits.digit[i]) >> 8;
    }
    return digits;
}

// The power of two in which the largest of some numbers, by its bits, is below 127 * 2^24: numbers are multiplied by
// `up`, sums by `down`. Neither is 0 or infinite; sums of numbers that are not finite become NaN.
struct Unit {
    float up, down;
};

GR_DEVICE Unit unit_of(unsigned largest_bits) {
    // 127 / 64 is the largest number of its exponent that the highest digit has room for.
    const unsigned exponent = max((largest_bits + 0x20000u) >> 23, 31u);
    const unsigned down = largest_bits < 0x7f800000u ? (exponent - 30) << 23 : 0x7fc00000u;
    return {bits_float((284 - exponent) << 23), bits_float(down)};
}

// What is to be subtracted from sums, from the sum over directions of each digit times twice_offset. Halves of a digit
// go into the next one.
GR_DEVICE void starts_of(const int (&twice)[4], int (&start)[4]) {
    int rest = 0;
    GR_UNROLL
    for (int i = 0; i < 4; i++) {
        const int sum = twice[i] + 256 * rest;
        start[i] = -(sum >> 1);
        rest = sum & 1;
    }
}

}  // namespace gr::softmax
