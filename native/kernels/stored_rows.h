// Rows as files store them (see stored.h): numbers, and the scales they share. Twins: decodeRow and encodeRow of
// io.groupreduce.matrix.EncodedMatrix, io.groupreduce.matrix.ScaleFormat.
#pragma once

#include "groupreduce/stored.h"
#include "warp.h"

namespace gr::stored {

// Of integers of so many bits; the smallest one is its opposite.
GR_DEVICE int max_integer(int bits) { return (1 << (bits - 1)) - 1; }

// The bits of number j of a row of INT3.
GR_DEVICE unsigned int3(const uint8_t* row, int j) {
    const int bit = 3 * j;
    unsigned pair = row[bit / 8];
    if (bit % 8 > 5) {
        pair |= static_cast<unsigned>(row[bit / 8 + 1]) << 8;
    }
    return pair >> (bit % 8) & 7;
}

// Number j of a row before its scale; INT4 and INT3 are stored with half their range added.
GR_DEVICE float number(const uint8_t* row, int bits, int j) {
    switch (bits) {
        case 32:
            return reinterpret_cast<const float*>(row)[j];
        case 16:
            return from_bf16(reinterpret_cast<const unsigned short*>(row)[j]);
        case 8:
            return static_cast<float>(static_cast<int8_t>(row[j]));
        case 4:
            return static_cast<float>((row[j / 2] >> (4 * (j % 2)) & 15) - 8);
        default:
            return static_cast<float>(static_cast<int>(int3(row, j)) - 4);
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
    const float unscaled = number(m.codes + row * m.row_bytes, m.bits, j);
    if (m.scales_per_row == 0) {
        return unscaled;
    }
    const int block = m.scales_per_row == 1 ? 0 : j / m.block;
    return unscaled * scale(m.scales, m.scale_bytes, row * m.scales_per_row + block, log8);
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

// Stores the smallest scale of the format that is not below `least` >= 0, or the largest one there is.
GR_DEVICE void store_scale(uint8_t* scales, int bytes, int64_t index, float least, const float* log8) {
    if (bytes == GR_SCALE_F32) {
        reinterpret_cast<float*>(scales)[index] = least;
    } else if (bytes == GR_SCALE_BF16) {
        reinterpret_cast<unsigned short*>(scales)[index] = static_cast<unsigned short>(bf16_at_least(least) >> 16);
    } else {
        scales[index] = static_cast<uint8_t>(log8_at_least(log8, least));
    }
}

// Eight numbers from j on, or as many as a row has, as a stream of bits: x_j over the scale that is stored, rounded to
// the next integer there is. A scale without an inverse makes 0 * infinity, which is stored as 0; so is what fills up
// INT4.
template <class Numbers>
GR_DEVICE uint64_t pack_integers(const GrStoredRows& m, int64_t row, int j, const Numbers& x, const float* log8) {
    const int zero = m.bits == 8 ? 0 : 1 << (m.bits - 1);
    const float limit = static_cast<float>(max_integer(m.bits));
    uint64_t stream = 0;
    float inverse = 0;
    int end = 0;  // of the block of numbers whose scale is at hand
    for (int i = 0; i < 8; i++) {
        int integer = 0;
        if (j + i < m.width) {
            if (i == 0 || j + i == end) {
                const int block = (j + i) / m.block;
                const float divisor = scale(m.scales, m.scale_bytes, row * m.scales_per_row + block, log8);
                inverse = divisor == 0 ? 0 : 1 / divisor;
                end = (block + 1) * m.block;
            }
            const float value = rintf(x[j + i] * inverse);
            integer = value == value ? static_cast<int>(fmaxf(-limit, fminf(limit, value))) : 0;
        } else if (m.bits != 4) {
            break;
        }
        const unsigned mask = (1u << m.bits) - 1;
        stream |= static_cast<uint64_t>(static_cast<unsigned>(integer + zero) & mask) << (m.bits * i);
    }
    return stream;
}

// Stores the integers of a row; by a warp.
template <class Numbers>
GR_DEVICE void store_integers(const GrStoredRows& m, int64_t row, const Numbers& x, const float* log8) {
    for (int j = 8 * lane(); j < m.width; j += 8 * WARP) {
        const uint64_t stream = pack_integers(m, row, j, x, log8);
        const int from = j / 8 * m.bits;
        const int bytes = min(m.bits, m.row_bytes - from);
        uint8_t* to = m.codes + row * m.row_bytes + from;
        if (bytes == 8 && reinterpret_cast<uintptr_t>(to) % 8 == 0) {
            *reinterpret_cast<uint64_t*>(to) = stream;
        } else if (bytes == 4 && reinterpret_cast<uintptr_t>(to) % 4 == 0) {
            *reinterpret_cast<uint32_t*>(to) = static_cast<uint32_t>(stream);
        } else {
            for (int b = 0; b < bytes; b++) {
                to[b] = static_cast<uint8_t>(stream >> (8 * b));
            }
        }
    }
}

}  // namespace gr::stored
