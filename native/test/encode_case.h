// What the tests of the encode kernels share.
#pragma once

#include "check.h"

namespace gr::test {

inline std::vector<float> random_numbers(Random& random, int count, double decay = 0, int period = 1) {
    std::vector<float> numbers(count);
    for (int i = 0; i < count; i++) {
        numbers[i] = random.gaussian() * static_cast<float>(pow(1 + i % period, -decay));
    }
    return numbers;
}

inline int max_integer(int bits) { return (1 << (bits - 1)) - 1; }

// 2^(ceil(8 log2(value)) / 8), the logarithm taken a little low so that exact powers stay.
inline double power_at_least(double value) { return value == 0 ? 0 : exp2(ceil(8 * log2(value) - 1e-9) / 8); }

}  // namespace gr::test
