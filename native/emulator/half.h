// binary16 for the emulation: a compiler need not have it.
#pragma once

#include <stdint.h>
#include <string.h>

namespace gr::emulator {

// Rounded to nearest even.
inline unsigned short to_f16(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    const unsigned sign = static_cast<unsigned>(bits >> 48) & 0x8000u;
    bits &= ~(1ull << 63);
    double size;
    memcpy(&size, &bits, sizeof size);
    if (size != size) {
        return 0x7fff;
    }
    if (size >= 65520) {
        return static_cast<unsigned short>(sign | 0x7c00u);
    }
    const uint64_t least = 1023 - 14;
    const uint64_t exponent = bits >> 52 > least ? bits >> 52 : least;
    // A sum with 2^42 times the number's power of two has the last place of a binary16 as its own.
    const uint64_t shifter_bits = (exponent + 42) << 52, unit_bits = (2056 - exponent) << 52;
    double shifter, per_unit;
    memcpy(&shifter, &shifter_bits, sizeof shifter);
    memcpy(&per_unit, &unit_bits, sizeof per_unit);
    const double rounded = (size + shifter) - shifter;
    const unsigned units = static_cast<unsigned>(rounded * per_unit);
    return static_cast<unsigned short>(sign | ((static_cast<unsigned>(exponent - least) << 10) + units));
}

inline float from_f16(unsigned bits) {
    const unsigned wide = (bits & 0x7fffu) << 13;
    float size;
    memcpy(&size, &wide, sizeof size);
    if ((bits & 0x7c00u) == 0x7c00u) {
        size = (bits & 0x3ffu) != 0 ? __builtin_nanf("") : __builtin_inff();
    } else {
        size *= 0x1p112f;
    }
    return bits & 0x8000u ? -size : size;
}

}  // namespace gr::emulator
