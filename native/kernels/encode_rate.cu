// What every row loses under every plan.
//
//   distortion(i, p) = w_i (e_i - ||c_i[0 : k_p]||^2 + rounding error),   c_i = A_i P_b
//   rounding error   = sum over j < k_p of u_j (y_j - value_j(y_j / s) s)^2 at the scale s of least error    (codes)
//                    = 2^-18 / 3 * ||c_i[0 : k_p]||^2                                                         (BF16)
//
//   distortion(i, p) = w_i (of_energy_p e_i + of_codes_p ||A_i - stored A_i||^2)   for a plan without coordinates
//
// with y_j = c_j scale_j; one matrix product before this makes the coordinates c. Shapes: c count x (ranks of all
// bases), distortions count x P. Never materialised: rounded coordinates, errors beyond one row. Twin:
// io.groupreduce.internal.reference.ReferenceRating.
#include "scale_search.h"

namespace gr::encode {
namespace {

using stored::TILE;

// The mean squared relative error of rounding to bfloat16: 2^-18 / 3.
constexpr float BF16_NOISE = 3.814697265625e-6f / 3;
constexpr int WARPS = 8;

// Energies beyond every level, from the far end, where small numbers are; returns the energy of all coordinates.
GR_DEVICE float measure_energies(const GrRateBasis& basis, const float* coordinates, float* beyond) {
    float running = 0;
    for (int level = basis.levels - 1; level >= 0; level--) {
        if (lane() == 0) {
            beyond[level] = running;
        }
        float squares = 0;
        for (int j = (level == 0 ? 0 : basis.ranks[level - 1]) + lane(); j < basis.ranks[level]; j += WARP) {
            squares = fma(coordinates[j], coordinates[j], squares);
        }
        running += warp_sum(squares);
    }
    sync_warp();
    return running;
}

}  // namespace

// Bytes a row and basis: 4 k_b of coordinates (again from a cache for every plan), 4 a plan written. Operations: 11
// instructions for each coordinate of every plan, 32 scales at a time.
GR_KERNEL(gr_rate, GrRateParams, 256, 4) {
    GR_DYNAMIC_SHARED(float, levels);
    GR_SHARED(float, numbers, WARPS* TILE);
    GR_SHARED(float, weights, WARPS* TILE);
    const int index = warp_in_grid();
    if (index >= p.count) {
        return;
    }
    const GrRateBasis& basis = p.bases[blockIdx.y];
    const stored::Tile tile = {numbers + warp() * TILE, weights + warp() * TILE};
    float* beyond = levels + warp() * p.most_levels;
    const float* coordinates = p.coordinates + static_cast<int64_t>(index) * p.coordinate_stride + basis.offset;
    const stored::Numbers x = {coordinates, basis.scales};
    const float inside = measure_energies(basis, coordinates, beyond);
    const float outside = fmaxf(0.0f, p.energies[index] - inside);
    for (int i = 0; i < basis.plan_count; i++) {
        const GrRatePlan& plan = basis.plans[i];
        const float residual = beyond[plan.level];
        double rounding = 0;
        if (plan.form.scales_per_row > 0) {
            rounding =
                stored::ScaleSearch{plan.form, basis.error_weights, p.scales, tile}.find(x, 0, plan.form.width).error;
        } else if (plan.form.bits == 16) {
            rounding = BF16_NOISE * fmaxf(0.0f, inside - residual);
        }
        if (lane() == 0) {
            p.distortions[static_cast<int64_t>(index) * p.stride + plan.plan] =
                p.weights[index] * (residual + outside + static_cast<float>(rounding));
        }
    }
}

// Bytes a row: 4 D read where a plan has codes (again from a cache for every such plan), 8 read and 4 a plan written.
GR_KERNEL(gr_rate_whole, GrRateWholeParams, 256, 4) {
    GR_SHARED(float, numbers, WARPS* TILE);
    GR_SHARED(float, weights, WARPS* TILE);
    const int index = warp_in_grid();
    if (index >= p.count) {
        return;
    }
    const stored::Tile tile = {numbers + warp() * TILE, weights + warp() * TILE};
    const stored::Numbers x = {p.values + static_cast<int64_t>(index) * p.columns, nullptr};
    for (int i = 0; i < p.plan_count; i++) {
        const GrWholePlan& plan = p.plans[i];
        const stored::ScaleSearch search = {plan.form, nullptr, p.scales, tile};
        double squares = 0;
        for (int s = 0; s < plan.form.scales_per_row; s++) {
            squares += search.find(x, s * plan.form.block, min(p.columns, (s + 1) * plan.form.block)).error;
        }
        // A plan that loses nothing of an infinite energy loses nothing.
        const double of_energy = plan.of_energy == 0 ? 0 : plan.of_energy * p.energies[index];
        if (lane() == 0) {
            p.distortions[static_cast<int64_t>(index) * p.stride + plan.plan] =
                static_cast<float>(p.weights[index] * (of_energy + plan.of_codes * squares));
        }
    }
}

}  // namespace gr::encode
