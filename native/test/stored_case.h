// Stored rows as plain code reads and writes them, bit by bit.
#pragma once

#include <algorithm>
#include <vector>

#include "check.h"
#include "groupreduce/stored.h"

namespace gr::test {

// By number of a row, its bits.
using Widths = std::vector<int>;

inline Widths constant(int bits, int width) { return Widths(width, bits); }

// From `most` bits down to 1.
inline Widths falling(int most, int width) {
    Widths widths(width);
    for (int j = 0; j < width; j++) {
        widths[j] = most - most * j / width;
    }
    return widths;
}

// What a code of 8 bits or fewer stands for.
inline int plain_value(int bits, int code) {
    const int half[] = {0, 32, 20, 12, 7, 4, 2, 1};
    return bits == 8 ? code - 128 : (2 * code + 1 - (1 << bits)) * half[bits];
}

// The code of the nearest value, by trying those around; the upper one of two. NaN counts as 0.
inline int plain_code(int bits, double x) {
    if (x != x) {
        return 1 << (bits - 1);
    }
    const int least = bits == 8 ? 1 : 0, most = (1 << bits) - 1;
    const double lowest = plain_value(bits, least), step = plain_value(bits, least + 1) - lowest;
    const double inside = std::max(lowest, std::min(-lowest, x));
    int code = std::max(least, static_cast<int>((inside - lowest) / step) + least - 1);
    while (code < most && fabs(plain_value(bits, code + 1) - inside) <= fabs(plain_value(bits, code) - inside)) {
        code++;
    }
    return code;
}

// As Java makes it: io.groupreduce.cuda.compress.RowForm.
inline GrRowForm row_form(const Widths& widths, int block, int scale_bytes) {
    GrRowForm form{};
    int row_bits = 0;
    for (int bits : widths) {
        row_bits += bits;
        for (int b = 1; b <= 8 && b <= bits; b++) {
            form.at_least[b - 1]++;
        }
    }
    form.width = static_cast<int>(widths.size());
    form.row_bytes = blocks(row_bits, 8);
    form.bits = widths.empty() ? 0 : widths[0];
    form.block = block;
    if (form.bits <= 8) {
        form.scales_per_row = blocks(form.width, block);
        form.scale_bytes = scale_bytes;
    }
    return form;
}

struct StoredMatrix {
    int rows, width, bits, block, scales_per_row, scale_bytes;
    Widths widths;
    std::vector<int> first_bits;  // of every number, and the end of the row
    GrRowForm form;
    std::vector<uint8_t> codes, scales;

    // Codes have scales of so many bytes, one for every block of numbers; all bytes are `fill`, and so are some behind.
    StoredMatrix(int rows, Widths all_widths, int block, int scale_bytes, uint8_t fill = 0)
        : rows(rows),
          width(static_cast<int>(all_widths.size())),
          bits(all_widths.empty() ? 0 : all_widths[0]),
          block(block),
          scales_per_row(bits > 8 ? 0 : blocks(width, block)),
          scale_bytes(bits > 8 ? GR_NO_SCALE : scale_bytes),
          widths(std::move(all_widths)),
          first_bits(width + 1),
          form(row_form(widths, block, scale_bytes)),
          codes(rows * form.row_bytes + GUARD, fill),
          scales(blocks(rows, 32) * 32 * scales_per_row * this->scale_bytes + GUARD, fill) {
        for (int j = 0; j < width; j++) {
            first_bits[j + 1] = first_bits[j] + widths[j];
        }
    }

    static constexpr int GUARD = 16;

    int row_bytes() const { return blocks(first_bits[width], 8); }

    GrStoredRows view(int first = 0) { return {codes.data(), scales.data(), form, first}; }

    unsigned code(int i, int j) const {
        const int first = first_bits[j];
        unsigned code = 0;
        for (int b = 0; b < widths[j]; b++) {
            const int at = first + b;
            code |= (codes[i * row_bytes() + at / 8] >> at % 8 & 1u) << b;
        }
        return code;
    }

    void put_code(int i, int j, unsigned code) {
        const int first = first_bits[j];
        for (int b = 0; b < widths[j]; b++) {
            const int at = first + b;
            uint8_t& byte = codes[i * row_bytes() + at / 8];
            byte = static_cast<uint8_t>((byte & ~(1u << at % 8)) | (code >> b & 1) << at % 8);
        }
    }

    // A number before its scale.
    float unscaled(int i, int j) const {
        const unsigned found = code(i, j);
        return bits == 32   ? from_bits(found)
               : bits == 16 ? from_half_bits(found)
                            : static_cast<float>(plain_value(widths[j], static_cast<int>(found)));
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
