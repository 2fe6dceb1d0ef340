// What the C++ tests need of a test framework.
#pragma once

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

#define GR_CHECK(condition, ...)                                            \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
            fprintf(stderr, " " __VA_ARGS__);                               \
            fprintf(stderr, "\n");                                          \
            exit(1);                                                        \
        }                                                                   \
    } while (false)

namespace gr::test {

// Seeded numbers that are the same everywhere (SplitMix64).
class Random {
public:
    explicit Random(unsigned long long seed) : state(seed) {}

    unsigned long long bits() {
        unsigned long long z = state += 0x9e3779b97f4a7c15ull;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        return z ^ (z >> 31);
    }

    // In [0, bound).
    unsigned below(unsigned bound) { return static_cast<unsigned>(bits() % bound); }

    // In [-1, 1).
    float uniform() { return static_cast<float>(static_cast<double>(bits() >> 11) * 0x1p-52 - 1.0); }

    float gaussian() {
        const double u = static_cast<double>((bits() >> 11) + 1) * 0x1p-53,
                     v = static_cast<double>(bits() >> 11) * 0x1p-53;
        return static_cast<float>(sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
    }

private:
    unsigned long long state;
};

// Blocks of so many that cover a count.
inline int blocks(int count, int size) { return (count + size - 1) / size; }

inline float from_bits(unsigned bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

inline unsigned bits_of(float value) {
    unsigned bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

// The number of the bits of a bfloat16.
inline float from_half_bits(unsigned bits) { return from_bits(bits << 16); }

// Rounded to bfloat16.
inline float bf16(float value) {
    const unsigned bits = bits_of(value);
    return from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u);
}

// The key of a logit, as logit_keys.h says.
inline uint64_t plain_key(float logit, int token) {
    const unsigned bits = logit == 0 ? 0 : bits_of(logit);
    const unsigned ordered = bits & 0x80000000u ? ~bits : bits + 0x80000000u;
    return static_cast<uint64_t>(ordered) << 32 | (0xffffffffu - token);
}

// The scales of LOG8.
inline const std::vector<float>& log8_scales() {
    static const std::vector<float> scales = [] {
        std::vector<float> made(256, 0.0f);
        for (int u = 1; u < 256; u++) {
            made[u] = static_cast<float>(pow(2, (u - 192) / 8.0));
        }
        return made;
    }();
    return scales;
}

}  // namespace gr::test
