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

// Ways to store a factor: codes of 8 bits and fewer from INT8 on, those of FALLING from 8 bits to 1 and of THREE_TO_ONE
// from 3.
enum Codec { F32, BF16, INT8, INT4, FALLING, INT7, INT6, INT5, INT3, INT2, INT1, THREE_TO_ONE, CODECS };

inline Widths widths_of(int codec, int width) {
    const int bits[] = {32, 16, 8, 4, 8, 7, 6, 5, 3, 2, 1, 3};
    return codec == FALLING || codec == THREE_TO_ONE ? falling(bits[codec], width) : constant(bits[codec], width);
}

// As Java counts them: io.groupreduce.cuda.inference.PackedPart.
inline GrRuns runs_of(const Widths& widths) {
    GrRuns runs{};
    const int width = static_cast<int>(widths.size());
    for (int first = 0; first < width; first += 32) {
        const int bits = widths[first];
        if (width - first <= 16) {
            runs.blocks[6] = static_cast<uint16_t>(bits <= 2 ? 2 : bits <= 4 ? 4 : 8);
        } else {
            runs.blocks[bits == 7 ? 7 : bits - 1]++;
        }
    }
    return runs;
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

    bool scaled() const { return codec >= INT8; }

    GrRuns runs() const { return scaled() ? runs_of(widths) : GrRuns{}; }

    int strips() const { return (rows + 31) / 32; }

    int64_t strip_bytes() const {
        if (!scaled()) {
            return (width + 15) / 16 * bits * 64;
        }
        const GrRuns all = runs();
        int words = all.blocks[6] / 2;
        for (int b = 1; b <= 8; b++) {
            words += b == 7 ? 0 : b * all.blocks[b - 1];
        }
        return words * 128;
    }

    // In double.
    double number(int i, int k) const { return static_cast<double>(unscaled(i, k)) * scale(i, k); }

    // Packs, and describes the packed form; scales of padding rows are poison.
    void pack() {
        packed = std::make_shared<Memory>(strips() * strip_bytes());
        GrPackParams p{StoredMatrix::view(), packed->get(), strip_bytes(), runs(), rows, strips()};
        const int lanes = strips() * ((width + 31) / 32) * 32;
        if (lanes > 0) {
            emulator::launch("gr_pack", (lanes + 255) / 256, 1, 256, 0, p);
        }
        view.codes = lanes > 0 ? packed->get() : nullptr;
        view.scales = scaled() ? scales.data() : nullptr;
        view.strip_bytes = strip_bytes();
        view.rows = rows;
        view.form = form;
        view.runs = runs();
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
