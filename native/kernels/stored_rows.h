// Rows as files store them (see stored.h): numbers, and the scales they share. Twins: decodeRow and requantizeRow of
// io.groupreduce.matrix.EncodedMatrix, io.groupreduce.matrix.CodeValues, io.groupreduce.matrix.ScaleFormat.
#pragma once

#include "groupreduce/stored.h"
#include "warp.h"

namespace gr::stored {

// Products and sums rounded on their own, as Java rounds them: same bits on the card and the host. The emulation is
// compiled without contraction anyway.
#ifdef __CUDACC__
GR_DEVICE float multiply(float a, float b) { return __fmul_rn(a, b); }
GR_DEVICE float add(float a, float b) { return __fadd_rn(a, b); }
#else
inline float multiply(float a, float b) { return a * b; }
inline float add(float a, float b) { return a + b; }
#endif

// Half the distance of neighbouring values of fewer than 8 bits.
GR_DEVICE int half_step(int bits) { return static_cast<int>(GR_CODE_HALVES >> 8 * bits & 0xff); }

GR_DEVICE int value(int bits, int code) {
    return bits == 8 ? code - 128 : (2 * code + 1 - (1 << bits)) * half_step(bits);
}

GR_DEVICE float largest_value(int bits) { return static_cast<float>(value(bits, (1 << bits) - 1)); }

// How numbers are rounded to values of some bits. Levels are codes less 2^(bits - 1).
struct Rounding {
    int bits;
    float step, offset, inverse, low, high;

    GR_DEVICE explicit Rounding(int bits) : bits(bits) {
        const bool whole = bits == 8;
        offset = whole ? 0 : static_cast<float>(half_step(bits));
        step = whole ? 1 : 2 * offset;
        inverse = 1 / step;
        high = static_cast<float>((1 << (bits - 1)) - 1);
        low = whole ? -high : -high - 1;
    }

    // Of the nearest value; NaN counts as 0.
    GR_DEVICE float level(float x) const {
        const float at = bits == 8 ? rintf(x) : floorf(multiply(x, inverse));
        return at == at ? fmaxf(low, fminf(high, at)) : 0;
    }

    // Exact.
    GR_DEVICE float value(float level) const { return fma(level, step, offset); }
};

// Bits of code j of a row.
GR_DEVICE int bits_of(const GrRowForm& form, int j) {
    int bits = 0;
    GR_UNROLL
    for (int b = 0; b < 8; b++) {
        bits += j < form.at_least[b] ? 1 : 0;
    }
    return bits;
}

// Where a code begins in its row, and how wide it is.
struct Place {
    int bit, bits;
};

GR_DEVICE Place place(const GrRowForm& form, int j) {
    Place at = {0, 0};
    GR_UNROLL
    for (int b = 0; b < 8; b++) {
        at.bit += min(j, form.at_least[b]);
        at.bits += j < form.at_least[b] ? 1 : 0;
    }
    return at;
}

// The number of the code that has a bit of its row.
GR_DEVICE int number_at(const GrRowForm& form, int bit) {
    int j = 0;
    GR_UNROLL
    for (int bits = 8; bits > 0; bits--) {
        const int numbers = form.at_least[bits - 1] - j;
        if (bit < numbers * bits) {
            return j + bit / bits;
        }
        bit -= numbers * bits;
        j += numbers;
    }
    return j;
}

// Code j of a row, of so many bits and at such a place.
GR_DEVICE unsigned code(const uint8_t* row, const Place& at) {
    const int shift = at.bit % 8;
    unsigned pair = row[at.bit / 8];
    if (shift + at.bits > 8) {
        pair |= static_cast<unsigned>(row[at.bit / 8 + 1]) << 8;
    }
    return pair >> shift & ((1u << at.bits) - 1);
}

// The value of code j of a row.
GR_DEVICE int code_value(const uint8_t* row, const GrRowForm& form, int j) {
    const Place at = place(form, j);
    return value(at.bits, static_cast<int>(code(row, at)));
}

// Number j of a row before its scale.
GR_DEVICE float number(const uint8_t* row, const GrRowForm& form, int j) {
    switch (form.bits) {
        case 32:
            return reinterpret_cast<const float*>(row)[j];
        case 16:
            return from_bf16(reinterpret_cast<const unsigned short*>(row)[j]);
        default:
            return static_cast<float>(code_value(row, form, j));
    }
}

// Scale `index` of those stored; log8 has the 256 numbers of LOG8, ascending.
GR_DEVICE float scale(const uint8_t* scales, int bytes, int64_t index, const float* log8) {
    if (bytes == GR_SCALE_F32) {
        return reinterpret_cast<const float*>(scales)[index];
    }
    if (bytes == GR_SCALE_BF16) {
        return from_bf16(reinterpret_cast<const unsigned short*>(scales)[index]);
    }
    return log8[scales[index]];
}

// Number j of a row as a reader sees it.
GR_DEVICE float decode(const GrStoredRows& m, int64_t row, int j, const float* log8) {
    const GrRowForm& form = m.form;
    const float unscaled = number(m.codes + row * form.row_bytes, form, j);
    if (form.scales_per_row == 0) {
        return unscaled;
    }
    const int block = form.scales_per_row == 1 ? 0 : j / form.block;
    return unscaled * scale(m.scales, form.scale_bytes, row * form.scales_per_row + block, log8);
}

// The place of the smallest number of LOG8 that is not below `least`, or 255.
GR_DEVICE int log8_at_least(const float* log8, float least) {
    int low = 0, high = 255;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (log8[middle] < least) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// The smallest bfloat16 not below a number that is not negative, as its upper bits of a float.
GR_DEVICE unsigned bf16_at_least(float least) { return (float_bits(least) + 0xffffu) & 0xffff0000u; }

constexpr float LEAST_SCALE = 1.17549435e-38f;  // Float.MIN_NORMAL

// The smallest scale of F32 or BF16 that is not below `least` >= 0; 0 where that would be subnormal.
GR_DEVICE float scale_at_least(int bytes, float least) {
    const float found = bytes == GR_SCALE_BF16 ? bits_float(bf16_at_least(least)) : least;
    return found < LEAST_SCALE ? 0 : found;
}

// Stores the smallest scale of the format that is not below `least` >= 0, or the largest one there is.
GR_DEVICE void store_scale(uint8_t* scales, int bytes, int64_t index, float least, const float* log8) {
    if (bytes == GR_SCALE_F32) {
        reinterpret_cast<float*>(scales)[index] = scale_at_least(bytes, least);
    } else if (bytes == GR_SCALE_BF16) {
        const unsigned bits = float_bits(scale_at_least(bytes, least));
        reinterpret_cast<unsigned short*>(scales)[index] = static_cast<unsigned short>(bits >> 16);
    } else {
        scales[index] = static_cast<uint8_t>(log8_at_least(log8, least));
    }
}

// Byte `index` of a row of codes of x_j over the scale that is stored; of one without an inverse numbers count as 0.
template <class Numbers>
GR_DEVICE uint8_t code_byte(const GrStoredRows& m, int64_t row, int index, const Numbers& x, const float* log8) {
    const GrRowForm& form = m.form;
    int j = number_at(form, 8 * index);
    Place at = place(form, j);
    unsigned byte = 0;
    float inverse = 0;
    int end = 0;  // of the numbers whose scale is at hand
    for (; j < form.width && at.bit < 8 * index + 8; at = place(form, ++j)) {
        if (j >= end) {
            const int block = j / form.block;
            const float divisor = scale(m.scales, form.scale_bytes, row * form.scales_per_row + block, log8);
            inverse = 1 / divisor < INFINITY ? 1 / divisor : 0;
            end = (block + 1) * form.block;
        }
        const int level = static_cast<int>(Rounding(at.bits).level(multiply(x[j], inverse)));
        const unsigned code = static_cast<unsigned>(level + (1 << (at.bits - 1)));
        const int shift = at.bit - 8 * index;
        byte |= shift < 0 ? code >> -shift : code << shift;
    }
    return static_cast<uint8_t>(byte);
}

// Stores the codes of a row; by a warp. A lane makes whole bytes, so a code that lies in two is made twice.
template <class Numbers>
GR_DEVICE void store_codes(const GrStoredRows& m, int64_t row, const Numbers& x, const float* log8) {
    for (int index = lane(); index < m.form.row_bytes; index += WARP) {
        m.codes[row * m.form.row_bytes + index] = code_byte(m, row, index, x, log8);
    }
}

// The smallest scale that clips none of the numbers [from, to) of at least some bits; by a warp, in every lane.
template <class Numbers>
GR_DEVICE float clipping_nothing(const GrRowForm& form, const Numbers& x, int from, int to, int least_bits) {
    float largest = 0;
    for (int j = from + lane(); j < to; j += WARP) {
        const int bits = place(form, j).bits;
        if (bits >= least_bits) {
            largest = fmaxf(largest, fabsf(x[j]) / largest_value(bits));
        }
    }
    return warp_max(largest);
}

}  // namespace gr::stored
