// What every row loses under every plan.
//
//   distortion(i, p) = w_i (e_i - ||c_i[0 : k_p]||^2 + rounding error),   c_i = A_i P_b
//   rounding error   = min over 12 scales s of sum over j < k_p of u_j (y_j - round(y_j / s) s)^2    (INT3, INT4)
//                    = s^2 / 12 * sum over j < k_p of u_j                                            (INT8)
//                    = 2^-18 / 3 * ||c_i[0 : k_p]||^2                                                (BF16)
//
//   distortion(i, p) = w_i (of_energy_p e_i + of_square_p max_j A_ij^2)   for a plan without coordinates
//
// with y_j = c_j scale_j; one matrix product before this makes the coordinates c. Shapes: c count x (ranks of all
// bases), distortions count x P. Never materialised: rounded coordinates, errors beyond one row. Twin:
// io.groupreduce.internal.reference.ReferenceRating.
#include "groupreduce/encode.h"
#include "warp.h"

namespace gr::encode {
namespace {

// The mean squared relative error of rounding to bfloat16: 2^-18 / 3.
constexpr float BF16_NOISE = 3.814697265625e-6f / 3;
constexpr int SCALES = 12;
constexpr float ROUNDER = 8388608.0f;  // 2^23: magnitudes suffice, rounding being the same on both sides of zero
constexpr int TILE = GR_RATE_TILE;

// Exponents in eighths are held within these, so that a scale, its inverse and those 3 octaves below are normal
// numbers.
constexpr int LEAST_EXPONENT = -8 * 90;
constexpr int MOST_EXPONENT = 8 * 120;

// The least exponent whose scale clips nothing: ceil(8 log2(largest / max)).
GR_DEVICE int scale_exponent(const double (&eighths)[8], float largest, int max) {
    const double scale = static_cast<double>(largest) / max;
    if (!(scale >= 0x1p-90)) {
        return LEAST_EXPONENT;
    }
    int octave = 0;
    double mantissa = 2 * frexp(scale, &octave);
    octave--;
    int eighth = 0;
    while (eighth < 8 && eighths[eighth] < mantissa) {
        eighth++;
    }
    return min(8 * octave + eighth, MOST_EXPONENT);
}

// 2^(exponent / 8).
GR_DEVICE float scale_of(const double (&eighths)[8], int exponent) {
    const float octave = bits_float(static_cast<unsigned>((exponent >> 3) + 127) << 23);
    return octave * static_cast<float>(eighths[exponent & 7]);
}

// One row's memory: a tile of coordinates, and per level what was found.
struct RowMemory {
    float* magnitudes;  // TILE: |y_j|
    float* weights;     // TILE: u_j
    float* beyond;      // per level: energy of the coordinates beyond it
    float* largest;     // per level: first the largest |y_j| of its segment, then of all up to it
    float* int3;        // per level: rounding errors
    float* int4;

    GR_DEVICE RowMemory(float* memory, int levels)
        : magnitudes(memory),
          weights(memory + TILE),
          beyond(memory + 2 * TILE),
          largest(beyond + levels),
          int3(largest + levels),
          int4(int3 + levels) {}
};

// Energies beyond every level, from the far end, where small numbers are; returns the energy of all coordinates.
GR_DEVICE float measure_energies(const GrRateBasis& basis, const float* coordinates, const RowMemory& row) {
    float running = 0;
    for (int level = basis.levels - 1; level > 0; level--) {
        float squares = 0, most = 0;
        for (int j = basis.ranks[level - 1] + lane(); j < basis.ranks[level]; j += 32) {
            const float c = coordinates[j];
            squares = fma(c, c, squares);
            most = fmaxf(most, fabsf(c * basis.scales[j]));
        }
        squares = warp_sum(squares);
        most = warp_max(most);
        if (lane() == 0) {
            row.beyond[level] = running;
            row.largest[level] = most;
        }
        running += squares;
    }
    if (lane() == 0) {
        row.beyond[0] = running;
        row.largest[0] = 0;
    }
    sync_warp();
    return running;
}

// The scale that a lane tries. Lanes 0 to 11 have one each for INT3, lanes 16 to 27 for INT4.
struct LaneScale {
    float inverse;
    float negative;  // the scale, less than zero
    float limit;     // the largest integer, plus ROUNDER

    GR_DEVICE LaneScale(const double (&eighths)[8], float largest) {
        const int max = lane() < 16 ? 3 : 7;
        const int exponent = scale_exponent(eighths, largest, max) - 2 * min(lane() % 16, SCALES - 1);
        inverse = scale_of(eighths, -exponent);
        negative = -scale_of(eighths, exponent);
        limit = ROUNDER + static_cast<float>(max);
    }
};

// The error of a level's coordinates at this lane's scale, added to that of the levels before.
GR_DEVICE float add_rounding(const GrRateBasis& basis, const float* coordinates, int level, const RowMemory& row,
                             const LaneScale& scale, float error) {
    const int to = basis.ranks[level];
    for (int first = basis.ranks[level - 1]; first < to; first += TILE) {
        const int count = min(TILE, to - first);
        for (int j = lane(); j < (count + 3) / 4 * 4; j += 32) {
            const bool inside = j < count;
            row.magnitudes[j] = inside ? fabsf(coordinates[first + j] * basis.scales[first + j]) : 0.0f;
            row.weights[j] = inside ? basis.error_weights[first + j] : 0.0f;
        }
        sync_warp();
        for (int j = 0; j < count; j += 4) {
            const float4 y = *reinterpret_cast<const float4*>(row.magnitudes + j);
            const float4 u = *reinterpret_cast<const float4*>(row.weights + j);
            const float ys[4] = {y.x, y.y, y.z, y.w};
            const float us[4] = {u.x, u.y, u.z, u.w};
            GR_UNROLL
            for (int i = 0; i < 4; i++) {
                const float integer = fminf(fma(ys[i], scale.inverse, ROUNDER), scale.limit) - ROUNDER;
                const float off = fma(integer, scale.negative, ys[i]);
                error = fma(off * us[i], off, error);
            }
        }
        sync_warp();
    }
    return error;
}

// Largest magnitudes up to every level, and the rounding errors of integers. Lanes 0 to 11 try a scale each for INT3,
// lanes 16 to 27 for INT4, and all pass over the coordinates together: sums cross no lanes.
GR_DEVICE void measure_rounding(const GrRateBasis& basis, const double (&eighths)[8], const float* coordinates,
                                const RowMemory& row) {
    float most = 0;
    for (int level = 1; level < basis.levels; level++) {
        most = fmaxf(most, row.largest[level]);
    }
    const LaneScale scale(eighths, most);
    float error = 0, before = 0;
    if (lane() == 0) {
        row.int3[0] = 0;
        row.int4[0] = 0;
    }
    for (int level = 1; level < basis.levels; level++) {
        before = fmaxf(before, row.largest[level]);
        float least = 0;
        if (basis.measured) {
            error = add_rounding(basis, coordinates, level, row, scale, error);
            least = error;
            GR_UNROLL
            for (int mask = 8; mask > 0; mask /= 2) {
                least = fminf(least, shuffle_xor(least, mask));
            }
        }
        sync_warp();  // all have read the level's largest
        if (lane() == 0) {
            row.largest[level] = before;
            row.int3[level] = least;
        }
        if (lane() == 16) {
            row.int4[level] = least;
        }
    }
    sync_warp();
}

GR_DEVICE float rounding_error(const GrRateBasis& basis, const double (&eighths)[8], const GrRatePlan& plan,
                               const RowMemory& row, float inside) {
    switch (plan.bits) {
        case 3:
            return row.int3[plan.level];
        case 4:
            return row.int4[plan.level];
        case 8: {
            const float scale = scale_of(eighths, scale_exponent(eighths, row.largest[plan.level], 127));
            return scale * scale * basis.uniform[plan.level];
        }
        case 16:
            return BF16_NOISE * fmaxf(0.0f, inside - row.beyond[plan.level]);
        default:
            return 0;
    }
}

}  // namespace

// Bytes a row and basis: 8 k_b of coordinates (the second time from a cache), 4 a plan written. Operations: 6
// instructions for each coordinate, 24 scales at a time.
GR_KERNEL(gr_rate, GrRateParams, 256) {
    GR_DYNAMIC_SHARED(float, memory);
    const int index = warp_in_grid();
    if (index >= p.count) {
        return;
    }
    const GrRateBasis& basis = p.bases[blockIdx.y];
    const RowMemory row(memory + warp() * (2 * TILE + 4 * p.most_levels), p.most_levels);
    const float* coordinates = p.coordinates + static_cast<int64_t>(index) * p.coordinate_stride + basis.offset;
    const float inside = measure_energies(basis, coordinates, row);
    measure_rounding(basis, p.eighths, coordinates, row);
    const float outside = fmaxf(0.0f, p.energies[index] - inside);
    float* distortions = p.distortions + static_cast<int64_t>(index) * p.stride;
    for (int x = lane(); x < basis.plan_count; x += 32) {
        const GrRatePlan plan = basis.plans[x];
        const float residual = row.beyond[plan.level] + outside;
        distortions[plan.plan] = p.weights[index] * (residual + rounding_error(basis, p.eighths, plan, row, inside));
    }
}

// Bytes a row: 4 D read where a plan asks for the largest magnitude, 8 read and 4 a plan written.
GR_KERNEL(gr_rate_whole, GrRateWholeParams, 256) {
    const int index = warp_in_grid();
    if (index >= p.count) {
        return;
    }
    float most = 0;
    if (p.values != nullptr) {
        const float* values = p.values + static_cast<int64_t>(index) * p.columns;
        for (int j = lane(); j < p.columns; j += 32) {
            most = fmaxf(most, fabsf(values[j]));
        }
        most = warp_max(most);
    }
    const double square = static_cast<double>(most) * most;
    float* distortions = p.distortions + static_cast<int64_t>(index) * p.stride;
    for (int x = lane(); x < p.plan_count; x += 32) {
        const GrWholePlan& plan = p.plans[x];
        // A plan that loses nothing of an infinite energy loses nothing.
        const double of_energy = plan.of_energy == 0 ? 0 : plan.of_energy * p.energies[index];
        const double error = of_energy + plan.of_square * square;
        distortions[plan.plan] = static_cast<float>(p.weights[index] * error);
    }
}

}  // namespace gr::encode
