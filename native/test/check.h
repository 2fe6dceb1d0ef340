// What the C++ tests need of a test framework.
#pragma once

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define GR_CHECK(condition, ...)                                            \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
            fprintf(stderr, " " __VA_ARGS__);                               \
            fprintf(stderr, "\n");                                          \
            exit(1);                                                        \
        }                                                                   \
    } while (false)

namespace gr {
namespace test {

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

}  // namespace test
}  // namespace gr
