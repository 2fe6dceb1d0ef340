// Stored rows as plain code reads and writes them, bit by bit.
#pragma once

#include <algorithm>
#include <vector>

#include "check.h"
#include "groupreduce/stored.h"

namespace gr::test {

struct StoredMatrix {
    int rows, width, bits, block, scales_per_row, scale_bytes;
    std::vector<uint8_t> codes, scales;

    // Integers have scales of so many bytes, one for every block of numbers; all bytes are `fill`, and so are some
    // behind.
    StoredMatrix(int rows, int width, int bits, int block, int scale_bytes, uint8_t fill = 0)
        : rows(rows),
          width(width),
          bits(bits),
          block(block),
          scales_per_row(bits > 8 ? 0 : blocks(width, block)),
          scale_bytes(bits > 8 ? GR_NO_SCALE : scale_bytes),
          codes(rows * row_bytes() + GUARD, fill),
          scales(blocks(rows, 32) * 32 * scales_per_row * this->scale_bytes + GUARD, fill) {}

    static constexpr int GUARD = 16;

    int row_bytes() const { return blocks(width * bits, 8); }

    int most() const { return (1 << (bits - 1)) - 1; }

    GrStoredRows view() {
        return {codes.data(), scales.data(), row_bytes(), width, bits, block, scales_per_row, scale_bytes};
    }

    unsigned code(int i, int j) const {
        unsigned code = 0;
        for (int b = 0; b < bits; b++) {
            const int at = j * bits + b;
            code |= (codes[i * row_bytes() + at / 8] >> at % 8 & 1u) << b;
        }
        return code;
    }

    void put_code(int i, int j, unsigned code) {
        for (int b = 0; b < bits; b++) {
            const int at = j * bits + b;
            uint8_t& byte = codes[i * row_bytes() + at / 8];
            byte = static_cast<uint8_t>((byte & ~(1u << at % 8)) | (code >> b & 1) << at % 8);
        }
    }

    // A number before its scale.
    float unscaled(int i, int j) const {
        const unsigned found = code(i, j);
        switch (bits) {
            case 32:
                return from_bits(found);
            case 16:
                return from_half_bits(found);
            case 8:
                return static_cast<float>(static_cast<int8_t>(found));
            default:
                return static_cast<float>(static_cast<int>(found) - most() - 1);
        }
    }

    // The scale of number j.
    float scale(int i, int j) const {
        const uint8_t* at = scales.data() + (i * scales_per_row + (scales_per_row > 1 ? j / block : 0)) * scale_bytes;
        unsigned found = 0;
        memcpy(&found, at, scale_bytes);
        return scale_bytes == GR_NO_SCALE     ? 1
               : scale_bytes == GR_SCALE_F32  ? from_bits(found)
               : scale_bytes == GR_SCALE_BF16 ? from_half_bits(found)
                                              : log8_scales()[found];
    }

    float number(int i, int j) const { return unscaled(i, j) * scale(i, j); }

    // Stores the smallest scale of the format that is not below `least`.
    void put_scale(int index, float least) {
        unsigned bits = bits_of(least);
        if (scale_bytes == GR_SCALE_BF16) {
            bits = (bits + 0xffff) >> 16;
        } else if (scale_bytes == GR_SCALE_LOG8) {
            const std::vector<float>& all = log8_scales();
            bits = static_cast<unsigned>(std::lower_bound(all.begin(), all.end() - 1, least) - all.begin());
        }
        memcpy(scales.data() + index * scale_bytes, &bits, scale_bytes);
    }
};

}  // namespace gr::test
