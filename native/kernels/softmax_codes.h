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

template <int Bits>
struct Width {
    static constexpr int value = Bits;
};

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

GR_DEVICE unsigned rotate_right(unsigned word, int bits) {
    return bits == 0 ? word : word >> bits | word << (32 - bits);
}

// The words of a block of so many bits to registers A: tile t has a[t]. A whole block.
template <int Bits>
GR_DEVICE void decode_block(const unsigned (&word)[Bits], unsigned (&a)[2][4]) {
    // Of 3 bits, the codes that the upper bits of all three words make.
    const unsigned rest =
        Bits == 3 ? (word[0] >> 3 & 0x11111111u) | (word[Bits / 3] >> 2 & 0x22222222u) |
                        (word[Bits - 1] >> 1 & 0x44444444u)
                  : 0;
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

// Where a block of a strip lies, and how wide it is.
struct BlockPlace {
    int offset, bits;
    bool half;
};

GR_DEVICE BlockPlace block_place(const GrRuns& runs, int block) {
    int words = 0;
    GR_UNROLL
    for (int b = 8; b > 0; b--) {
        const int blocks = b == 7 ? 0 : runs.blocks[b - 1];
        if (block < blocks) {
            return {(words + block * b) * 128, b, false};
        }
        words += blocks * b;
        block -= blocks;
    }
    return {words * 128, runs.blocks[6], true};
}

// Where this lane's word of a block of so many words lies in it.
GR_DEVICE int word_offset(int words, int word) {
    const int before = word < words / 4 * 4 ? word / 4 * 4 : word < words / 2 * 2 ? words / 4 * 4 : words - 1;
    const int together = word < words / 4 * 4 ? 4 : word < words / 2 * 2 ? 2 : 1;
    return before * 128 + (lane() * together + word - before) * 4;
}

// What a bit of a lane's word is: a bit of a code of the lower or upper columns (see softmax.h).
struct CodeBit {
    int pair, byte, bit;
    bool upper;
};

GR_DEVICE CodeBit code_bit(int block_bits, bool half, int word, int at) {
    const int byte = at / 8, in_byte = at % 8, nibble = at % 4;
    const bool high = in_byte >= 4;
    switch (block_bits) {
        case 8:
            return {half ? word : word / 2, byte, in_byte, !half && word % 2 == 1};
        case 4:
            return half ? CodeBit{2 * word + high, byte, nibble, false} : CodeBit{word, byte, nibble, high};
        case 3:
            return nibble == 3 ? CodeBit{3, byte, word, high} : CodeBit{word, byte, nibble, high};
        case 2:
            return half ? CodeBit{in_byte / 2, byte, at % 2, false}
                        : CodeBit{2 * word + nibble / 2, byte, at % 2, high};
        case 1:
            return {nibble, byte, 0, high};
        default:
            break;
    }
    const int beside = block_bits - 4;  // bits of a code that are not in its nibble
    if (word < 4) {
        return {word, byte, high ? beside + nibble : nibble, high};
    }
    // A word that decode_block turns right: by 4 for odd pairs, or by 2 for every pair.
    const int turns = block_bits == 6 ? (in_byte < 2 || in_byte > 5 ? 1 : 0) : (in_byte + 5) % 8 / 2;
    const int turned = (at + 32 - turns * (block_bits == 6 ? 4 : 2)) % 32;
    const bool upper = turned % 8 < 4;
    return {block_bits == 6 ? 2 * (word - 4) + turns : turns, turned / 8,
            upper ? turned % 8 - (4 - beside) : turned % 8, upper};
}

// Any block; the upper columns of a half are 0.
GR_DEVICE void decode_any(const unsigned (&word)[8], const BlockPlace& place, unsigned (&a)[2][4]) {
    const auto whole = [&](auto bits) {
        constexpr int BITS = decltype(bits)::value;
        unsigned words[BITS];
        GR_UNROLL
        for (int i = 0; i < BITS; i++) {
            words[i] = word[i];
        }
        decode_block<BITS>(words, a);
    };
    const auto half = [&](auto bits) {
        constexpr int BITS = decltype(bits)::value;
        unsigned words[BITS / 2], lower[2][2];
        GR_UNROLL
        for (int i = 0; i < BITS / 2; i++) {
            words[i] = word[i];
        }
        decode_half<BITS>(words, lower);
        GR_UNROLL
        for (int i = 0; i < 4; i++) {
            a[i / 2][i % 2] = lower[i / 2][i % 2];
            a[i / 2][i % 2 + 2] = 0;
        }
    };
    switch (place.half ? -place.bits : place.bits) {
        case 8:
            return whole(Width<8>());
        case 6:
            return whole(Width<6>());
        case 5:
            return whole(Width<5>());
        case 4:
            return whole(Width<4>());
        case 3:
            return whole(Width<3>());
        case 2:
            return whole(Width<2>());
        case 1:
            return whole(Width<1>());
        case -8:
            return half(Width<8>());
        case -4:
            return half(Width<4>());
        default:
            return half(Width<2>());
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

// What sums of the digits lack for a direction: digit_i twice_offset / 2, whole numbers. Half of a digit is 128 of the
// next; half of the last one is lost.
GR_DEVICE void offsets_of(const Digits& digits, int twice_offset, int (&offset)[4]) {
    int rest = 0;
    GR_UNROLL
    for (int i = 0; i < 4; i++) {
        const int twice = digits.digit[i] * twice_offset + 256 * rest;
        offset[i] = twice >> 1;
        rest = twice & 1;
    }
}

// The power of two in which the largest of some numbers, by its bits, is below 127 * 2^24: numbers are multiplied by
// `first` and then by `up`, sums by `down`. None is 0 or infinite; sums of numbers that are not finite become NaN.
struct Unit {
    float first, up, down;
};

GR_DEVICE Unit unit_of(unsigned largest_bits) {
    // 127 / 64 is the largest number of its exponent that the highest digit has room for.
    const unsigned exponent = max((largest_bits + 0x20000u) >> 23, 8u);
    const unsigned small = exponent < 64 ? 64 : 0;  // the inverse of a small unit is too large for one number
    const unsigned down = exponent > 30 ? (exponent - 30) << 23 : 1u << (exponent - 8);
    return {bits_float((127 + small) << 23), bits_float((284 - small - exponent) << 23),
            bits_float(largest_bits < 0x7f800000u ? down : 0x7fc00000u)};
}

}  // namespace gr::softmax
