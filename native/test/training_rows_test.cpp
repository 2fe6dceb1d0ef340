// The kernels that read and train stored rows under emulation, against plain loops in double.
#include "groupreduce/training.h"

#include <algorithm>
#include <vector>

#include "../emulator/emulator.h"
#include "encode_case.h"

namespace {

using gr::emulator::launch;
using namespace gr::test;

const std::vector<float>& LOG8 = log8_scales();

// A stored matrix and its training state.
struct Stored : StoredMatrix {
    std::vector<float> values, first, second, sizes;

    Stored(Random& random, int rows, const Widths& widths, int block, int scale_bytes)
        : StoredMatrix(rows, widths, block, scale_bytes) {
        values.assign(rows * width + 1, 0);
        first.assign(rows * width + 1, 0);
        second.assign(rows * width + 1, 0);
        sizes.assign(rows + 1, 0);
        for (int i = 0; i < rows; i++) {
            for (int s = 0; s < scales_per_row; s++) {
                put_scale(i * scales_per_row + s, fabsf(random.gaussian()) / 60);
            }
            for (int j = 0; j < width; j++) {
                put(i, j, random.gaussian());
            }
        }
    }

    void put(int i, int j, float value) {
        const float by = scale(i, j);
        put_code(i, j,
                 bits == 32   ? bits_of(value)
                 : bits == 16 ? bits_of(bf16(value)) >> 16
                              : static_cast<unsigned>(plain_code(widths[j], value * (1 / by < INFINITY ? 1 / by : 0))));
    }

    GrFactor parameters() { return {view(), values.data(), first.data(), second.data(), sizes.data()}; }
};

// Every kind of row and scale format, ragged widths, one scale a row and several.
std::vector<Stored> all_matrices(Random& random) {
    std::vector<Stored> all;
    for (int scale_bytes : {GR_SCALE_F32, GR_SCALE_BF16, GR_SCALE_LOG8}) {
        for (int width : {1, 7, 32, 45, 300}) {
            for (const Widths& widths : every_kind(width)) {
                const int rows = 1 + static_cast<int>(random.below(5));
                all.emplace_back(random, rows, widths, width, scale_bytes);
                all.emplace_back(random, rows, widths, 32, scale_bytes);
            }
        }
    }
    return all;
}

GrFactorRows rows_of(const std::vector<GrFactor>& table, int matrix, int first, int count) {
    return {table.data(), nullptr, nullptr, nullptr, LOG8.data(), matrix, first, count};
}

void decoding_one_matrix() {
    Random random(1);
    std::vector<Stored> all = all_matrices(random);
    std::vector<GrFactor> table;
    for (Stored& m : all) {
        table.push_back(m.parameters());
    }
    for (size_t n = 0; n < all.size(); n++) {
        const Stored& m = all[n];
        const int first = m.rows / 2, count = m.rows - first, stride = m.width + 3;
        std::vector<float> target(count * stride + 1, -1);
        launch("gr_training_decode", blocks(count, 4), 1, 128, 0,
               GrTrainingDecodeParams{rows_of(table, static_cast<int>(n), first, count), target.data(), stride});
        for (int i = 0; i < count; i++) {
            for (int j = 0; j < stride; j++) {
                const float expected = j < m.width ? m.number(first + i, j) : 0;
                GR_CHECK(target[i * stride + j] == expected, "bits %d, row %d, number %d", m.bits, i, j);
            }
        }
        GR_CHECK(target.back() == -1, "beyond the last row");
    }
}

void decoding_by_places() {
    Random random(2);
    std::vector<Stored> all = all_matrices(random);
    std::vector<GrFactor> table;
    std::vector<uint8_t> group_of;
    std::vector<int32_t> slot_of, order;
    for (size_t n = 0; n < all.size(); n++) {
        table.push_back(all[n].parameters());
        for (int i = 0; i < all[n].rows; i++) {
            order.push_back(static_cast<int32_t>(group_of.size()));
            group_of.push_back(static_cast<uint8_t>(n));
            slot_of.push_back(i);
        }
    }
    const int tokens = static_cast<int>(order.size());
    for (int i = tokens - 1; i > 0; i--) {
        std::swap(order[i], order[random.below(i + 1)]);
    }
    const int first = 5, count = tokens - 7, stride = 300;
    std::vector<float> target(count * stride);
    const GrFactorRows rows = {table.data(), order.data(), group_of.data(), slot_of.data(), LOG8.data(), 0,
                               first,        count};
    launch("gr_training_decode", blocks(count, 4), 1, 128, 0, GrTrainingDecodeParams{rows, target.data(), stride});
    for (int i = 0; i < count; i++) {
        const int token = order[first + i];
        const Stored& m = all[group_of[token]];
        for (int j = 0; j < stride; j++) {
            const float expected = j < m.width ? m.number(slot_of[token], j) : 0;
            GR_CHECK(target[i * stride + j] == expected, "token %d, number %d", token, j);
        }
    }
}

// Three steps, so that the moments count; some gradients are zero. Without new scales, the first row has one that
// nothing can be stored at, or that has no inverse, and stays where it is.
void training(bool renew) {
    Random random(renew ? 3 : 4);
    for (Stored& m : all_matrices(random)) {
        if (m.scales_per_row > 0 && !renew) {
            m.put_scale(0, m.scale_bytes == GR_SCALE_F32 ? 1e-40f : 0);
        }
        const std::vector<GrFactor> table = {m.parameters()};
        launch("gr_training_begin", blocks(m.rows, 4), 1, 128, 0, GrTrainingBeginParams{rows_of(table, 0, 0, m.rows)});
        std::vector<double> values(m.rows * m.width), first(values.size()), second(values.size());
        for (int i = 0; i < m.rows; i++) {
            double squares = 0;
            for (int j = 0; j < m.width; j++) {
                values[i * m.width + j] = m.number(i, j);
                GR_CHECK(m.values[i * m.width + j] == m.number(i, j), "a copy of what is stored");
                squares += static_cast<double>(m.number(i, j)) * m.number(i, j);
            }
            const double size = sqrt(squares / m.width);
            GR_CHECK(fabs(m.sizes[i] - size) <= 1e-6 * size + 1e-44, "size %g, not %g", m.sizes[i], size);
        }
        const int stride = m.width + 2;
        std::vector<float> gradient(m.rows * stride);
        const double rate = 0.05;
        for (int step = 1; step <= 3; step++) {
            for (int n = 0; n < m.rows * stride; n++) {
                const bool still = random.below(4) == 0 || (n < stride && !renew);
                gradient[n] = still ? 0 : 1e-3f * random.gaussian();
            }
            const float second_scale = static_cast<float>(1 / (1 - pow(0.99, step)));
            launch("gr_training_move", blocks(m.rows, 4), 1, 128, 0,
                   GrTrainingMoveParams{rows_of(table, 0, 0, m.rows), gradient.data(), rate / (1 - pow(0.9, step)),
                                        second_scale, stride, renew ? 1 : 0});
            for (int i = 0; i < m.rows; i++) {
                for (int j = 0; j < m.width; j++) {
                    const int n = i * m.width + j;
                    const double g = gradient[i * stride + j];
                    first[n] = 0.9 * first[n] + 0.1 * g;
                    second[n] = 0.99 * second[n] + 0.01 * g * g;
                    values[n] -= rate / (1 - pow(0.9, step)) * m.sizes[i] * first[n] /
                                 (sqrt(second[n] / (1 - pow(0.99, step))) + 1e-12);
                    const double off = fabs(m.values[n] - values[n]);
                    GR_CHECK(off <= 1e-5 * (fabs(values[n]) + rate * m.sizes[i]), "%g, not %g", m.values[n], values[n]);
                }
            }
        }
        Stored expected = m;
        for (int i = 0; i < m.rows; i++) {
            for (int s = 0; renew && s < m.scales_per_row; s++) {
                float least = 0;
                for (int j = s * m.block; j < std::min(m.width, (s + 1) * m.block); j++) {
                    const int most = plain_value(m.widths[j], (1 << m.widths[j]) - 1);
                    least = std::max(least, fabsf(m.values[i * m.width + j]) / static_cast<float>(most));
                }
                expected.put_scale(i * m.scales_per_row + s, least);
            }
            for (int j = 0; j < m.width; j++) {
                expected.put(i, j, m.values[i * m.width + j]);
            }
        }
        GR_CHECK(expected.scales == m.scales, "scales of %d bytes, %d bits, width %d", m.scale_bytes, m.bits, m.width);
        GR_CHECK(expected.codes == m.codes, "codes of %d bits, scales of %d bytes, width %d", m.bits, m.scale_bytes,
                 m.width);
    }
}

}  // namespace

int main() {
    decoding_one_matrix();
    decoding_by_places();
    training(false);
    training(true);
    puts("stored rows in training: passed");
    return 0;
}
