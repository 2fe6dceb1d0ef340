// Kernels of encode_rate.cu and encode_choose.cu under emulation against plain binary64 code on ragged sizes.
#include <algorithm>
#include <vector>

#include "../emulator/emulator.h"
#include "encode_case.h"

namespace {

using namespace gr::test;
using std::vector;

// Ranks and plans of a basis, and what a row of coordinates loses by rounding.
struct Basis {
    vector<float> scales, error_weights;
    vector<int32_t> ranks;
    vector<GrRatePlan> plans;
    vector<Widths> widths;  // by plan

    double rounding(const float* c, int plan) const {
        const GrRowForm& form = plans[plan].form;
        double squares = 0;
        vector<float> y(form.width);
        for (int j = 0; j < form.width; j++) {
            squares += static_cast<double>(c[j]) * c[j];
            y[j] = c[j] * scales[j];
        }
        return form.bits == 32   ? 0
               : form.bits == 16 ? 0x1p-18 / 3 * squares
                                 : least_error(form, widths[plan].data(), y.data(), error_weights.data(), form.width);
    }
};

Basis make_basis(Random& random, int coordinates, bool scaled, int& plan) {
    Basis basis;
    basis.ranks = {0};
    for (int rank = 1; rank < coordinates; rank += 1 + static_cast<int>(random.below(rank))) {
        basis.ranks.push_back(rank);
    }
    basis.ranks.push_back(coordinates);
    for (int j = 0; j < coordinates; j++) {
        const float scale = scaled ? 0.5f + 0.125f * static_cast<float>(j) : 1.0f;
        basis.scales.push_back(scale);
        basis.error_weights.push_back(static_cast<float>(1 / (static_cast<double>(scale) * scale)));
    }
    for (size_t level = 0; level < basis.ranks.size(); level++) {
        for (const Widths& widths : every_kind(basis.ranks[level])) {
            const int block = std::max(1, basis.ranks[level]);
            basis.plans.push_back({plan++, static_cast<int32_t>(level), row_form(widths, block, GR_SCALE_LOG8)});
            basis.widths.push_back(widths);
        }
    }
    return basis;
}

void ratings_are_those_of_binary64() {
    Random random(1);
    const int count = 21;
    int plan = 0;
    vector<Basis> bases;
    vector<int> offsets;
    int stride = 0, most_levels = 0;
    const int sizes[] = {1, 7, 64, 150, 301};
    for (int b = 0; b < 5; b++) {
        bases.push_back(make_basis(random, sizes[b], b % 2 == 1, plan));
        offsets.push_back(stride);
        stride += sizes[b];
        most_levels = std::max(most_levels, static_cast<int>(bases.back().ranks.size()));
    }
    vector<float> coordinates = random_numbers(random, count * stride, 0.7, stride);
    for (int j = 0; j < stride; j++) {
        coordinates[3 * stride + j] = 0;        // a row of zeros
        coordinates[4 * stride + j] *= 1e-12f;  // a tiny one
    }
    coordinates[5 * stride + offsets[3] + 70] = 90;  // an outlier
    vector<float> weights(count), energies(count, 1000), distortions(count * plan, -1);
    vector<GrRateBasis> tables;
    for (size_t b = 0; b < bases.size(); b++) {
        const Basis& basis = bases[b];
        tables.push_back({basis.scales.data(), basis.error_weights.data(), basis.ranks.data(), basis.plans.data(),
                          static_cast<int32_t>(basis.plans.size()), static_cast<int32_t>(basis.ranks.size()),
                          offsets[b]});
    }
    for (int i = 0; i < count; i++) {
        weights[i] = 0.25f * static_cast<float>(i);
        energies[i] = i == 3 ? 0 : i == 5 ? 90 * 90 + 1000 : 1000;
    }
    const ScaleTables scales;
    const GrRateParams params = {coordinates.data(), tables.data(), energies.data(), weights.data(), distortions.data(),
                                 scales.view(),      count,         stride,          plan,           most_levels};
    const size_t shared = GR_RATE_SHARED(most_levels);
    gr::emulator::launch("gr_rate", blocks(count, 8), static_cast<unsigned>(bases.size()), 256, shared, params);
    for (int i = 0; i < count; i++) {
        for (size_t b = 0; b < bases.size(); b++) {
            for (size_t x = 0; x < bases[b].plans.size(); x++) {
                const GrRatePlan& what = bases[b].plans[x];
                const float* c = coordinates.data() + i * stride + offsets[b];
                double residual = energies[i];
                for (int j = 0; j < bases[b].ranks[what.level]; j++) {
                    residual -= static_cast<double>(c[j]) * c[j];
                }
                const double rounding = bases[b].rounding(c, static_cast<int>(x));
                const double expected = weights[i] * (residual + rounding);
                const double actual = distortions[i * plan + what.plan];
                GR_CHECK(fabs(actual - expected) <= weights[i] * (1e-4 * rounding + 3e-7 * energies[i]),
                         "row %d basis %d plan %d: %g is not %g", i, static_cast<int>(b), what.plan, actual, expected);
            }
        }
    }
}

void rows_without_coordinates_are_rated_by_energy_and_codes() {
    Random random(2);
    const int count = 11, columns = 45, stride = 9;
    vector<float> values = random_numbers(random, count * columns);
    vector<float> energies(count), weights(count), distortions(count * stride, -1);
    for (int i = 0; i < count; i++) {
        weights[i] = static_cast<float>(i);
        energies[i] = 1 + static_cast<float>(i);
    }
    energies[1] = INFINITY;
    std::fill(values.begin() + 2 * columns, values.begin() + 3 * columns, 0.0f);
    const Widths whole = constant(8, columns), blocked = falling(4, columns);
    const GrRowForm none{};
    const GrWholePlan plans[] = {{1, 0, 4, none},
                                 {0, 0, 2, none},
                                 {0.25, 0, 8, none},
                                 {0, 0.125, 1, row_form(whole, columns, GR_SCALE_BF16)},
                                 {0, 3, 6, row_form(blocked, 32, GR_SCALE_BF16)}};
    const ScaleTables scales;
    gr::emulator::launch("gr_rate_whole", blocks(count, 8), 1, 256, 0,
                         GrRateWholeParams{plans, values.data(), energies.data(), weights.data(), distortions.data(),
                                           scales.view(), count, columns, 5, stride});
    for (int i = 0; i < count; i++) {
        const float* x = values.data() + i * columns;
        const float* d = distortions.data() + i * stride;
        GR_CHECK(d[4] == weights[i] * energies[i] && d[2] == 0 && d[8] == weights[i] * energies[i] / 4 && d[0] == -1);
        const double of_whole = weights[i] * 0.125 * least_error(plans[3].form, whole.data(), x, nullptr, columns);
        double of_blocks = 0;
        for (int from = 0; from < columns; from += 32) {
            const int of_block = std::min(32, columns - from);
            of_blocks +=
                weights[i] * 3 * least_error(plans[4].form, blocked.data() + from, x + from, nullptr, of_block);
        }
        GR_CHECK(fabs(d[1] - of_whole) <= 1e-4 * of_whole, "row %d: %g, not %g", i, d[1], of_whole);
        GR_CHECK(fabs(d[6] - of_blocks) <= 1e-4 * of_blocks, "row %d: %g, not %g", i, d[6], of_blocks);
    }
}

void choices_are_those_of_binary64(int count, int plans, bool tied) {
    Random random(3);
    const int stride = plans + 3, grid = blocks(count, GR_CHOOSE_ROWS);
    vector<float> distortions(count * stride, 0);
    for (float& d : distortions) {
        d = tied ? static_cast<float>(random.below(3)) : static_cast<float>(exp(3 * random.gaussian()));
    }
    vector<double> costs(plans);
    for (int p = 0; p < plans; p++) {
        costs[p] = p % 5 == 0 ? INFINITY : tied ? random.below(2) : 0.01 * p;
    }
    if (count > 6) {
        for (int p = 0; p < plans; p++) {
            distortions[5 * stride + p] = INFINITY;
        }
    }
    vector<uint8_t> group_of(count, 255);
    vector<double> sums(grid * plans), totals(plans);
    vector<int32_t> chosen(grid * plans);
    vector<int64_t> rows(plans);
    gr::emulator::launch("gr_choose", grid, 1, 256, 0,
                         GrChooseParams{distortions.data(), costs.data(), group_of.data(), sums.data(), chosen.data(),
                                        count, plans, stride, 1});
    gr::emulator::launch("gr_choice_sum", plans, 1, 32, 0,
                         GrChoiceSumParams{sums.data(), chosen.data(), totals.data(), rows.data(), grid, plans});
    vector<double> expected_sums(plans);
    vector<int64_t> expected_rows(plans);
    for (int i = 0; i < count; i++) {
        int least = 1;
        for (int p = 0; p < plans; p++) {
            const double mine = distortions[i * stride + p] + costs[p];
            const double best = distortions[i * stride + least] + costs[least];
            if (mine < best || (mine == best && p < least && mine < INFINITY)) {
                least = p;
            }
        }
        GR_CHECK(group_of[i] == least, "row %d: %d is not %d", i, group_of[i], least);
        expected_sums[least] += distortions[i * stride + least];
        expected_rows[least]++;
    }
    for (int p = 0; p < plans; p++) {
        GR_CHECK(rows[p] == expected_rows[p], "plan %d", p);
        const double off = totals[p] == expected_sums[p] ? 0 : fabs(totals[p] - expected_sums[p]);
        GR_CHECK(off <= 1e-12 * expected_sums[p], "plan %d", p);
    }
}

}  // namespace

int main() {
    ratings_are_those_of_binary64();
    rows_without_coordinates_are_rated_by_energy_and_codes();
    choices_are_those_of_binary64(1, 3, false);
    choices_are_those_of_binary64(2500, 33, false);
    choices_are_those_of_binary64(1100, 255, true);
    return 0;
}
