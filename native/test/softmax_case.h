// Random compressed heads for the tests of the softmax kernels: stored factors with a plain decoder in double, their
// packed form by gr_pack, and what a query needs around them.
#pragma once

#include <string.h>

#include <memory>
#include <vector>

#include "../emulator/emulator.h"
#include "check.h"
#include "groupreduce/softmax.h"

namespace gr::test {

using Bytes = std::vector<uint8_t>;

// Memory as a device gives it: aligned; poisoned, so that what nobody wrote shows.
class Memory {
public:
    explicit Memory(size_t bytes) : data(static_cast<uint8_t*>(aligned_alloc(256, (bytes + 511) / 256 * 256))) {
        memset(data.get(), 0xFF, (bytes + 511) / 256 * 256);
    }

    uint8_t* get() const { return data.get(); }

private:
    struct Free {
        void operator()(uint8_t* p) const { free(p); }
    };
    std::unique_ptr<uint8_t, Free> data;
};

// A factor as a file holds it, rows of scales padded to 32, and its packed form.
struct Factor {
    int codec = GR_F32, rows = 0, width = 0, format = GR_SCALE_F32, scales_per_row = 1;
    Bytes data, scales;
    std::shared_ptr<Memory> packed;
    GrPacked view{};

    int row_bytes() const {
        const int bits[] = {32, 16, 8, 4, 3};
        return (width * bits[codec] + 7) / 8;
    }

    bool scaled() const { return codec >= GR_INT8; }

    int packed_codec() const { return codec == GR_INT3 ? GR_INT4 : codec; }

    int slices() const { return (width + 15) / 16; }

    int strips() const { return (rows + 31) / 32; }

    int64_t strip_bytes() const {
        const int n = slices();
        const int bytes[] = {n * 2048, n * 1024, n * 512, n * 256};
        return bytes[packed_codec()];
    }

    const uint8_t* row(int i) const { return data.data() + i * row_bytes(); }

    double code(int i, int k) const {
        const uint8_t* r = row(i);
        switch (codec) {
            case GR_F32: {
                float value;
                memcpy(&value, r + 4 * k, 4);
                return value;
            }
            case GR_BF16:
                return from_half_bits(r[2 * k] | (r[2 * k + 1]) << 8);
            case GR_INT8:
                return static_cast<int8_t>(r[k]);
            case GR_INT4:
                return (r[k / 2] >> (k % 2 * 4) & 15) - 8;
            default: {
                int value = 0;
                for (int b = 0; b < 3; b++) {
                    value |= (r[(3 * k + b) / 8] >> ((3 * k + b) % 8) & 1) << b;
                }
                return value - 4;
            }
        }
    }

    double scale(int i, int k) const {
        if (!scaled()) {
            return 1;
        }
        const size_t at = i * scales_per_row + (scales_per_row > 1 ? k / 32 : 0);
        float wide;
        switch (format) {
            case GR_SCALE_F32:
                memcpy(&wide, scales.data() + 4 * at, 4);
                return wide;
            case GR_SCALE_BF16:
                return from_half_bits(scales[2 * at] | scales[2 * at + 1] << 8);
            default:
                return log8_scales()[scales[at]];
        }
    }

    double number(int i, int k) const { return code(i, k) * scale(i, k); }

    void set_scale(size_t at, float value) {
        const int bytes = format == GR_SCALE_F32 ? 4 : format == GR_SCALE_BF16 ? 2 : 1;
        unsigned bits = bits_of(value);
        if (format != GR_SCALE_F32) {
            bits = format == GR_SCALE_BF16 ? bits >> 16 : lround(192 + 8 * log2(static_cast<double>(value)));
        }
        memcpy(scales.data() + at * bytes, &bits, bytes);
    }

    // Packs, and describes the packed form; scales of padding rows are poison.
    void pack() {
        packed = std::make_shared<Memory>(strips() * strip_bytes());
        GrPackParams p{data.data(), packed->get(), row_bytes(), strip_bytes(), rows, width, slices(), strips(), codec};
        const int lanes = strips() * slices() * 32;
        if (lanes > 0) {
            emulator::launch("gr_pack", (lanes + 255) / 256, 1, 256, 0, p);
        }
        view.codes = lanes > 0 ? packed->get() : nullptr;
        view.scales = scaled() ? scales.data() : nullptr;
        view.strip_bytes = strip_bytes();
        view.rows = rows;
        view.slices = slices();
        view.codec = static_cast<int16_t>(packed_codec());
        view.scale_format = static_cast<int16_t>(format);
        view.scales_per_row = scales_per_row;
        view.columns = width;
    }
};

// Random codes with numbers of about `size`, every code possible, the lowest integers too; `exact`: small integers at
// scale 1.
inline Factor random_factor(Random& random, int codec, int rows, int width, int format, bool blocks, float size,
        bool exact = false) {
    Factor f;
    f.codec = codec;
    f.rows = rows;
    f.width = width;
    f.format = format;
    f.scales_per_row = blocks && f.scaled() ? (width + 31) / 32 : 1;
    f.data.resize(rows * f.row_bytes());
    const int zero[] = {0, 0, 0, 8, 4};
    for (int i = 0; i < rows; i++) {
        uint8_t* r = f.data.data() + i * f.row_bytes();
        for (int k = 0; k < width; k++) {
            const float value = exact ? static_cast<float>(static_cast<int>(random.below(7)) - 3)
                    : size * random.gaussian();
            unsigned bits = bits_of(value);
            if (f.scaled()) {
                const int levels[] = {0, 0, 256, 16, 8};
                const int integer = exact ? static_cast<int>(value)
                        : static_cast<int>(random.below(levels[codec])) - levels[codec] / 2;
                bits = integer + zero[codec];
            } else if (codec == GR_BF16) {
                bits >>= 16;
            }
            const int count[] = {32, 16, 8, 4, 3};
            for (int b = 0; b < count[codec]; b++) {
                const int at = k * count[codec] + b;
                r[at / 8] = static_cast<uint8_t>(r[at / 8] | (bits >> b & 1) << at % 8);
            }
        }
    }
    if (f.scaled()) {
        const int bytes = format == GR_SCALE_F32 ? 4 : format == GR_SCALE_BF16 ? 2 : 1;
        f.scales.assign(f.strips() * 32 * f.scales_per_row * bytes, 0xFF);
        const float most[] = {0, 0, 100, 6, 3};
        for (int at = 0; at < rows * f.scales_per_row; at++) {
            const float spread = expf(0.3f * random.gaussian());
            f.set_scale(at, exact ? 1.0f : size / most[codec] * spread);
        }
    }
    f.pack();
    return f;
}

struct GroupOfHead {
    Factor left;
    int basis;  // -1 dense, -2 zero
    std::vector<int32_t> tokens;
    std::vector<float> bias;
};

}  // namespace gr::test
