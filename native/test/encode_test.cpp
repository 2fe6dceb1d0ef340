// Kernels of encode_left.cu and encode_loss.cu under emulation against plain binary64 code on ragged sizes.
#include <algorithm>
#include <vector>

#include "../emulator/emulator.h"
#include "encode_case.h"

namespace {

using namespace gr::test;
using std::vector;

// A group, with guards of 0xAA behind its bytes.
struct Group : StoredMatrix {
    Group(int rows, const Widths& widths, int block, int bytes) : StoredMatrix(rows, widths, block, bytes, 0xAA) {}

    void check_guards() const {
        const size_t scales_end = static_cast<size_t>(rows * scales_per_row * scale_bytes);
        GR_CHECK(
            std::all_of(codes.begin() + rows * row_bytes(), codes.end(), [](uint8_t byte) { return byte == 0xAA; }) &&
                std::all_of(scales.begin() + scales_end, scales.end(), [](uint8_t byte) { return byte == 0xAA; }),
            "width %d", width);
    }
};

void check_scales(const Group& s, const float* x, const float* u, int row) {
    for (int b = 0; b < s.scales_per_row; b++) {
        const int from = b * s.block, count = std::min(s.block, s.width - from);
        const double scale = s.scale(row, from);
        double most = 0, error = 0;
        for (int j = from; j < from + count; j++) {
            most = std::max<double>(most, fabs(x[j]));
            const double off = x[j] - s.unscaled(row, j) * scale;
            error += (u == nullptr ? 1 : u[j]) * off * off;
        }
        if (most == 0) {
            GR_CHECK(scale == 0, "zeros have scale %g", scale);
            continue;
        }
        const double least = least_error(s.form, s.widths.data() + from, x + from, u == nullptr ? u : u + from, count);
        GR_CHECK(fabs(error - least) <= 1e-4 * least + 1e-11 * most * most,
                 "bits %d to %d scale bytes %d block %d: error %g, least %g", s.bits, s.widths.back(), s.scale_bytes,
                 s.block, error, least);
    }
}

void encoded_numbers_are_near_and_decode_to_themselves(const Widths& widths, int scale_bytes, int block) {
    const ScaleTables tables;
    const int width = static_cast<int>(widths.size());
    Random random(width);
    const int rows = 13, stride = width + 2, padded = width + 3;
    vector<float> values = random_numbers(random, rows * stride, 0.4, stride), factors(width), weights(width);
    for (int j = 0; j < width; j++) {
        values[2 * stride + j] = 0;
        factors[j] = 0.5f + fabsf(random.gaussian());
        weights[j] = 1 / (factors[j] * factors[j]);
    }
    const bool scaled = (width + block) % 2 == 0;
    // Three groups: the second narrower and without a block of its own.
    vector<Group> groups;
    groups.emplace_back(4, widths, block, scale_bytes);
    groups.emplace_back(1, constant(8, (width + 1) / 2), width, GR_SCALE_LOG8);
    groups.emplace_back(8, widths, block, scale_bytes);
    const int first[] = {0, 4, 5, rows};
    vector<GrStoredRows> table;
    for (int g = 0; g < 3; g++) {
        table.push_back(groups[g].view(first[g]));
    }
    gr::emulator::launch("gr_encode", blocks(rows, 4), 1, 128, 0,
                         GrEncodeParams{values.data(), table.data(), scaled ? factors.data() : nullptr,
                                        scaled ? weights.data() : nullptr, tables.view(), rows, stride, 3});
    vector<float> decoded(rows * padded, 7);
    gr::emulator::launch("gr_decode", blocks(rows, 8), 1, 256, 0,
                         GrDecodeParams{table.data(), tables.log8.data(), decoded.data(), rows, padded, 3});
    for (int g = 0; g < 3; g++) {
        const Group& group = groups[g];
        group.check_guards();
        for (int i = first[g]; i < first[g + 1]; i++) {
            vector<float> x(group.width);
            for (int j = 0; j < padded; j++) {
                if (j >= group.width) {
                    GR_CHECK(decoded[i * padded + j] == 0);
                    continue;
                }
                x[j] = values[i * stride + j] * (scaled ? factors[j] : 1);
                const float stored = group.number(i - first[g], j);
                GR_CHECK(decoded[i * padded + j] == stored, "width %d bits %d row %d number %d", width, group.bits, i,
                         j);
                if (group.bits >= 16) {
                    GR_CHECK(fabsf(stored - x[j]) <= (group.bits == 32 ? 0 : 0x1p-8f) * fabsf(x[j]));
                }
            }
            const int used = group.first_bits[group.width] % 8;
            const int last = (i - first[g] + 1) * group.row_bytes() - 1;
            GR_CHECK(used == 0 || group.codes[last] >> used == 0, "padding of width %d", group.width);
            if (group.bits < 16) {
                check_scales(group, x.data(), scaled ? weights.data() : nullptr, i - first[g]);
            }
        }
    }
}

// What lies far beyond the largest value is clipped to it, on its own side.
void numbers_beyond_every_scale_are_clipped() {
    const ScaleTables tables;
    for (const Widths& widths : {constant(8, 9), falling(8, 9)}) {
        Group group(1, widths, 9, GR_SCALE_LOG8);
        vector<float> values(9);
        for (int j = 0; j < 9; j++) {
            values[j] = (j % 2 == 0 ? -1 : 1) * 1e30f;
        }
        const GrStoredRows table = group.view();
        gr::emulator::launch("gr_encode", 1, 1, 128, 0,
                             GrEncodeParams{values.data(), &table, nullptr, nullptr, tables.view(), 1, 9, 1});
        for (int j = 0; j < 9; j++) {
            const int most = plain_value(widths[j], (1 << widths[j]) - 1);
            GR_CHECK(group.unscaled(0, j) == static_cast<float>(j % 2 == 0 ? -most : most), "number %d", j);
        }
    }
}

void errors_are_squared_differences() {
    Random random(5);
    const int count = 10, columns = 67;
    const vector<float> original = random_numbers(random, count * columns);
    const vector<float> rebuilt = random_numbers(random, count * columns);
    vector<float> values = original, weights(count + 1), listed(count, -1);
    vector<int32_t> numbers;
    for (int i = 0; i < count; i++) {
        numbers.push_back((i * 3) % count + 1);
        weights[i + 1] = 1 + static_cast<float>(i);
    }
    vector<double> direct(count + 1, -1), stepwise(count + 1, -1), energies(count + 1, -1);
    gr::emulator::launch(
        "gr_row_loss", blocks(count, 8), 1, 256, 0,
        GrRowLossParams{values.data(), rebuilt.data(), numbers.data(), direct.data(), energies.data(), count, columns});
    gr::emulator::launch("gr_difference", blocks(count * columns, 256), 1, 256, 0,
                         GrDifferenceParams{rebuilt.data(), values.data(), count * columns});
    gr::emulator::launch(
        "gr_row_loss", blocks(count, 8), 1, 256, 0,
        GrRowLossParams{values.data(), nullptr, numbers.data(), stepwise.data(), nullptr, count, columns});
    gr::emulator::launch("gr_listed_weights", 1, 1, 256, 0,
                         GrListedWeightsParams{numbers.data(), weights.data(), listed.data(), count});
    for (int i = 0; i < count; i++) {
        const int row = numbers[i];
        double sum = 0, energy = 0;
        for (int j = 0; j < columns; j++) {
            const double value = original[i * columns + j];
            const double difference = value - rebuilt[i * columns + j];
            GR_CHECK(values[i * columns + j] == static_cast<float>(difference));
            sum += difference * difference;
            energy += value * value;
        }
        GR_CHECK(listed[i] == weights[row]);
        GR_CHECK(fabs(direct[row] - sum) <= 1e-13 * sum);
        GR_CHECK(fabs(energies[row] - energy) <= 1e-13 * energy);
        GR_CHECK(fabs(stepwise[row] - sum) <= 1e-6 * sum);
    }
    GR_CHECK(direct[0] == -1 && stepwise[0] == -1);
}

}  // namespace

int main() {
    for (int width : {1, 5, 8, 37, 64, 160, 333}) {
        for (const Widths& widths : every_kind(width)) {
            for (int scale_bytes : {4, 2, 1}) {
                for (int block : {width, 32, 5}) {
                    encoded_numbers_are_near_and_decode_to_themselves(widths, scale_bytes, block);
                }
            }
        }
    }
    numbers_beyond_every_scale_are_clipped();
    errors_are_squared_differences();
    return 0;
}
