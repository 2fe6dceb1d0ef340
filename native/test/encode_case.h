// What the tests of the encode kernels share.
#pragma once

#include <algorithm>

#include "check.h"
#include "groupreduce/encode.h"
#include "stored_case.h"

namespace gr::test {

inline std::vector<float> random_numbers(Random& random, int count, double decay = 0, int period = 1) {
    std::vector<float> numbers(count);
    for (int i = 0; i < count; i++) {
        numbers[i] = random.gaussian() * static_cast<float>(pow(1 + i % period, -decay));
    }
    return numbers;
}

struct ScaleTables {
    std::vector<float> log8, steps;

    ScaleTables() : log8(log8_scales()), steps(32) {
        for (int t = 0; t < 32; t++) {
            steps[t] = static_cast<float>(exp2(-t / 8.0));
        }
    }

    GrScales view() const { return {log8.data(), steps.data()}; }
};

// Every kind of row: numbers, codes of one width, codes of falling widths.
inline std::vector<Widths> every_kind(int width) {
    return {constant(32, width), constant(16, width), constant(8, width), constant(4, width),
            constant(3, width),  constant(1, width),  falling(8, width),  falling(5, width)};
}

// The scales to try for some codes, from the largest on, by the words of io.groupreduce.matrix.ScaleSearch; none where
// all numbers are 0. In binary32 as there: formats round up, and may do so from just below a scale that they hold.
inline std::vector<float> scales_to_try(const GrRowForm& form, const int* widths, const float* x, int count) {
    double near = 0, squares = 0;
    float wide = 0;
    const int first = std::min(count, 64);
    for (int j = 0; j < count; j++) {
        const float most = static_cast<float>(plain_value(widths[j], (1 << widths[j]) - 1));
        wide = widths[j] >= 6 ? std::max(wide, fabsf(x[j]) / most) : wide;
        squares += static_cast<double>(x[j]) * x[j];
        near = j < first ? squares : near;
    }
    const float of_first = static_cast<float>(sqrt(near / first)) / 40;
    const float usual = std::max(of_first, static_cast<float>(sqrt(squares / count)) / 40 / 4);
    const bool coarse = form.scale_bytes == GR_SCALE_LOG8;
    const auto step = [](int t) { return static_cast<float>(exp2(-t / 8.0)); };
    const float up = usual * 1.5422108f;
    int above = 0;
    while (!coarse && wide > 0 && above < 31 && wide / step(above) < up) {
        above++;
    }
    const float most = std::max(up, wide / step(above));
    const std::vector<float>& log8 = log8_scales();
    const auto code = std::lower_bound(log8.begin(), log8.end() - 1, most) - log8.begin();
    std::vector<float> scales;
    for (int t = 0; t < 32 && most > 0; t++) {
        const float scale = !coarse ? most * step(t) : t < code ? log8[code - t] : 0;
        if (scale == 0 || (t > 0 && scale < usual * 0.6209289f)) {
            break;
        }
        const unsigned rounded = (bits_of(scale) + 0xffff) & 0xffff0000u;
        scales.push_back(form.scale_bytes == GR_SCALE_BF16 ? from_bits(rounded) : scale);
    }
    return scales;
}

// The least squared error among them, error j counting u_j.
inline double least_error(const GrRowForm& form, const int* widths, const float* x, const float* u, int count) {
    double least = INFINITY;
    for (const double scale : scales_to_try(form, widths, x, count)) {
        double sum = 0;
        for (int j = 0; j < count; j++) {
            const double off = x[j] - plain_value(widths[j], plain_code(widths[j], x[j] / scale)) * scale;
            sum += (u == nullptr ? 1 : u[j]) * off * off;
        }
        least = std::min(least, sum);
    }
    return least < INFINITY ? least : 0;
}

}  // namespace gr::test
