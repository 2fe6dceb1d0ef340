// Rows as files store them: numbers, and the scales they share. A codec is told by the bits of a number (32: F32, 16:
// BF16, 8, 4, 3: INT8, INT4, INT3) and a scale format by its bytes (4: F32, 2: BF16, 1: LOG8). Twins: decodeRow and
// encodeRow of io.groupreduce.matrix.EncodedMatrix, io.groupreduce.matrix.ScaleFormat.
#pragma once

#include "groupreduce/device.h"

namespace gr::stored {

// Of integers of so many bits; the smallest one is its opposite.
GR_DEVICE int max_integer(int bits) { return (1 << (bits - 1)) - 1; }

// Number j of a row before its scale. A row is a stream of bits, the lowest of a byte first; INT4 and INT3 are stored
// with half their range added.
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
        default: {
            const int bit = 3 * j;
            unsigned pair = row[bit / 8];
            if (bit % 8 > 5) {
                pair |= static_cast<unsigned>(row[bit / 8 + 1]) << 8;
            }
            return static_cast<float>(static_cast<int>(pair >> (bit % 8) & 7) - 4);
        }
    }
}

// Scale `index` of those stored; log8 has the 256 numbers of LOG8, ascending.
GR_DEVICE float scale(const uint8_t* scales, int bytes, int64_t index, const float* log8) {
    if (bytes == 4) {
        return reinterpret_cast<const float*>(scales)[index];
    }
    if (bytes == 2) {
        return from_bf16(reinterpret_cast<const unsigned short*>(scales)[index]);
    }
    return log8[scales[index]];
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
    if (bytes == 4) {
        reinterpret_cast<float*>(scales)[index] = least;
    } else if (bytes == 2) {
        reinterpret_cast<unsigned short*>(scales)[index] = static_cast<unsigned short>(bf16_at_least(least) >> 16);
    } else {
        scales[index] = static_cast<uint8_t>(log8_at_least(log8, least));
    }
}

}  // namespace gr::stored
