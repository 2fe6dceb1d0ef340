// The scale of least error for numbers that become codes.
//
//   scale = argmin over at most 32 candidates s of sum_j u_j (x_j - value_j(x_j / s) s)^2
//
// Candidates are steps of an eighth of an octave around the scale at which the numbers have the deviation that values
// are made for. A lane tries one, and all pass over the numbers together, in the order of the host, so that they bring
// forth the same scale. Never materialised: codes, errors of single numbers. Twin: io.groupreduce.matrix.ScaleSearch.
#pragma once

#include "groupreduce/encode.h"
#include "stored_rows.h"

namespace gr::stored {

constexpr int TILE = 128;

// The numbers of a row.
struct Numbers {
    const float* values;
    const float* factors;  // null for 1

    GR_DEVICE float operator[](int j) const { return factors == nullptr ? values[j] : multiply(values[j], factors[j]); }
};

// A warp's part of shared memory: TILE numbers and what their errors count.
struct Tile {
    float* numbers;
    float* weights;
};

struct ScaleSearch {
    const GrRowForm& form;
    const float* error_weights;  // null for 1
    const GrScales& scales;
    Tile tile;

    struct Found {
        float scale;   // 0 where numbers are 0, or all but 0
        double error;  // infinite where it exceeds a float
    };

    // Numbers [first, first + count) to the tile, followed by zeros that count nothing up to a multiple of four.
    GR_DEVICE void load(const Numbers& x, int first, int count) const {
        sync_warp();
        for (int j = lane(); j < (count + 3) / 4 * 4; j += WARP) {
            const bool inside = j < count;
            tile.numbers[j] = inside ? x[first + j] : 0.0f;
            tile.weights[j] = !inside ? 0.0f : error_weights == nullptr ? 1.0f : error_weights[first + j];
        }
        sync_warp();
    }

    // The scale at which numbers [from, to) have the deviation that values are made for.
    GR_DEVICE static float deviation(const Numbers& x, int from, int to) {
        double squares = 0;
        for (int j = from + lane(); j < to; j += WARP) {
            const double number = x[j];
            squares = fma(number, number, squares);
        }
        return static_cast<float>(sqrt(warp_sum(squares) / (to - from))) / GR_DEVIATION;
    }

    // Of this lane: a scale to try, or 0 for none.
    GR_DEVICE float candidate(const Numbers& x, int from, int to) const {
        const float usual = fmaxf(deviation(x, from, min(to, from + GR_NEAR)), deviation(x, from, to) / 4);
        const float up = multiply(usual, GR_UP);
        const float wide = clipping_nothing(form, x, from, to, GR_WIDE_BITS);
        const bool fine = form.scale_bytes != GR_SCALE_LOG8 && wide > 0;
        int above = 0;  // steps from wide to the largest candidate
        while (fine && above < WARP - 1 && wide / scales.steps[above] < up) {
            above++;
        }
        const float most = fmaxf(up, wide / scales.steps[above]);
        const int t = lane();
        float scale = multiply(most, scales.steps[t]);
        if (form.scale_bytes == GR_SCALE_LOG8) {
            const int code = log8_at_least(scales.log8, most);
            scale = t < code ? scales.log8[code - t] : 0;
        }
        if (t > 0 && scale < multiply(usual, GR_DOWN)) {
            return 0;
        }
        return form.scale_bytes == GR_SCALE_LOG8 ? scale : scale_at_least(form.scale_bytes, scale);
    }

    // The weighted error of numbers [from, to) at this lane's scale, in units of the scale, so that small numbers do
    // not vanish when they are squared.
    GR_DEVICE float error_at(float scale, const Numbers& x, int from, int to) const {
        const float inverse = 1 / scale;
        float sum = 0;
        for (int bits = form.bits; bits > 0 && from < to; bits--) {
            const Rounding rounding(bits);
            const int end = min(to, form.at_least[bits - 1]);
            for (; from < end; from = min(end, from + TILE)) {
                const int count = min(TILE, end - from);
                load(x, from, count);
                for (int j = 0; j < (scale > 0 ? count : 0); j += 4) {
                    const float4 y = *reinterpret_cast<const float4*>(tile.numbers + j);
                    const float4 u = *reinterpret_cast<const float4*>(tile.weights + j);
                    const float ys[4] = {y.x, y.y, y.z, y.w};
                    const float us[4] = {u.x, u.y, u.z, u.w};
                    GR_UNROLL
                    for (int i = 0; i < 4; i++) {
                        const float number = multiply(ys[i], inverse);
                        const float off = add(number, -rounding.value(rounding.level(number)));
                        sum = add(sum, multiply(us[i], multiply(off, off)));
                    }
                }
            }
        }
        return sum;
    }

    // For numbers [from, to); the larger one of equally good scales. In every lane.
    GR_DEVICE Found find(const Numbers& x, int from, int to) const {
        const float scale = candidate(x, from, to);
        double error = static_cast<double>(scale) * scale * error_at(scale, x, from, to);
        // What has no finite error is taken only if it is the first one and there is no other.
        error = scale > 0 && error < INFINITY ? error : INFINITY;
        int best = lane();
        GR_UNROLL
        for (int mask = 16; mask > 0; mask /= 2) {
            const double other_error = shuffle_xor(error, mask);
            const int other = shuffle_xor(best, mask);
            if (other_error < error || (other_error == error && other < best)) {
                error = other_error;
                best = other;
            }
        }
        const float found = shuffle(scale, best);
        return {found, found > 0 ? error : 0};
    }
};

}  // namespace gr::stored
