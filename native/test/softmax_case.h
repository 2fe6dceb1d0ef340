// Random compressed heads for the tests of the softmax kernels: stored factors with a plain decoder in double, their
// packed form by gr_pack, and what a query needs around them.
#pragma once

#include <string.h>

#include <memory>
#include <vector>

#include "../emulator/detect.h"
#include "../emulator/emulator.h"
#include "groupreduce/softmax.h"
#include "stored_case.h"

namespace gr::test {

// Memory as a device gives it: aligned; poisoned, so that what nobody wrote shows.
class Memory {
public:
    explicit Memory(size_t bytes) : data(static_cast<uint8_t*>(aligned_alloc(256, (bytes + 511) / 256 * 256))) {
        memset(data.get(), 0xFF, (bytes + 511) / 256 * 256);
        emulator::detect::add(data.get(), bytes, emulator::detect::Memory::DEVICE, "device memory");
    }

    uint8_t* get() const { return data.get(); }

private:
    struct Free {
        void operator()(uint8_t* p) const {
            emulator::detect::remove(p);
            free(p);
        }
    };
    std::unique_ptr<uint8_t, Free> data;
};

// Ways to store a factor, beside those that GrCodec names: codes of 4 bits, and of 8 bits falling to 1.
constexpr int INT4 = 3, FALLING = 4;

inline Widths widths_of(int codec, int width) {
    const int bits[] = {32, 16, 8, 4};
    return codec == FALLING ? falling(8, width) : constant(bits[codec], width);
}

// A factor as a file holds it, rows of scales padded to 32, and its packed form.
struct Factor : StoredMatrix {
    int codec;
    std::shared_ptr<Memory> packed;
    GrPacked view{};

    // `several`: a scale for every 32 numbers.
    Factor(int codec, int rows, int width, int scale_bytes, bool several)
        : StoredMatrix(rows, widths_of(codec, width), several ? 32 : std::max(1, width), scale_bytes), codec(codec) {
        std::fill(scales.begin(), scales.end(), 0xFF);
    }

    bool scaled() const { return codec >= GR_INT8; }

    int packed_codec() const { return std::min<int>(codec, GR_INT8); }

    int slices() const { return (width + 15) / 16; }

    int strips() const { return (rows + 31) / 32; }

    int64_t strip_bytes() const { return slices() * 2048 >> packed_codec(); }

    // In double.
    double number(int i, int k) const { return static_cast<double>(unscaled(i, k)) * scale(i, k); }

    // Packs, and describes the packed form; scales of padding rows are poison.
    void pack() {
        packed = std::make_shared<Memory>(strips() * strip_bytes());
        GrPackParams p{StoredMatrix::view(), packed->get(), strip_bytes(), rows, slices(), strips()};
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
        view.scale_bytes = static_cast<int16_t>(scale_bytes);
        view.scales_per_row = std::max(1, scales_per_row);
        view.columns = width;
    }
};

// Random codes with numbers of about `size`, every code possible, the lowest integers too; `exact`: small integers at
// scale 1.
inline Factor random_factor(Random& random, int codec, int rows, int width, int scale_bytes, bool several, float size,
                            bool exact = false) {
    Factor f(codec, rows, width, scale_bytes, several);
    for (int i = 0; i < rows; i++) {
        for (int k = 0; k < width; k++) {
            const int bits = f.widths[k];
            unsigned code;
            if (f.scaled()) {
                // Of two values, those nearest to 0.
                code = exact ? (1u << (bits - 1)) - random.below(2) : random.below(1u << bits);
            } else {
                const float small = static_cast<float>(static_cast<int>(random.below(7)) - 3);
                code = bits_of(exact ? small : size * random.gaussian()) >> (32 - bits);
            }
            f.put_code(i, k, code);
        }
    }
    for (int at = 0; at < rows * f.scales_per_row; at++) {
        f.put_scale(at, exact ? 1.0f : size / 60 * expf(0.3f * random.gaussian()));
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
