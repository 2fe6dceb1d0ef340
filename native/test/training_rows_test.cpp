// The kernels that read and train stored rows under emulation, against plain loops in double.
#include "groupreduce/training.h"

#include <string.h>

#include <algorithm>
#include <vector>

#include "../emulator/emulator.h"
#include "check.h"

namespace {

using gr::emulator::launch;
using namespace gr::test;

constexpr int CODECS[] = {GR_F32, GR_BF16, GR_INT8, GR_INT4, GR_INT3};

const std::vector<float>& LOG8 = log8_scales();

// A stored matrix, its training state, and the same numbers in the open: integers and scales, or values.
struct Stored {
    int codec, format, rows, width, block, scales_per_row, row_bytes, bits, most;
    std::vector<uint8_t> codes, scales;
    std::vector<float> values, first, second, sizes;

    Stored(Random& random, int codec, int format, int rows, int width, int block)
        : codec(codec), format(format), rows(rows), width(width), block(block) {
        bits = codec == GR_F32 ? 32 : codec == GR_BF16 ? 16 : codec == GR_INT8 ? 8 : codec == GR_INT4 ? 4 : 3;
        most = (1 << (bits - 1)) - 1;
        scales_per_row = codec <= GR_BF16 ? 0 : blocks(width, block);
        row_bytes = blocks(width * bits, 8);
        codes.resize(rows * row_bytes + 8);
        scales.resize(rows * scales_per_row * 4 + 8);
        values.assign(rows * width + 1, 0);
        first.assign(rows * width + 1, 0);
        second.assign(rows * width + 1, 0);
        sizes.assign(rows + 1, 0);
        for (int i = 0; i < rows; i++) {
            for (int s = 0; s < scales_per_row; s++) {
                put_scale(i * scales_per_row + s, fabsf(random.gaussian()) / static_cast<float>(most));
            }
            for (int j = 0; j < width; j++) {
                put(i, j, random.gaussian());
            }
        }
    }

    // The smallest scale of the format that is not below `least`.
    float at_least(float least) const {
        if (format == GR_SCALE_F32) {
            return least;
        }
        if (format == GR_SCALE_BF16) {
            return from_bits((bits_of(least) + 0xffff) & 0xffff0000u);
        }
        return *std::lower_bound(LOG8.begin(), LOG8.end() - 1, least);
    }

    void put_scale(int index, float least) {
        const float scale = at_least(least);
        const unsigned short half = static_cast<unsigned short>(bits_of(scale) >> 16);
        if (format == GR_SCALE_F32) {
            memcpy(&scales[4 * index], &scale, 4);
        } else if (format == GR_SCALE_BF16) {
            memcpy(&scales[2 * index], &half, 2);
        } else {
            scales[index] = static_cast<uint8_t>(std::lower_bound(LOG8.begin(), LOG8.end(), scale) - LOG8.begin());
        }
    }

    float scale(int i, int j) const {
        const int index = i * scales_per_row + j / block;
        unsigned short half;
        float single;
        memcpy(&half, &scales[2 * index], 2);
        memcpy(&single, &scales[4 * (format == GR_SCALE_F32 ? index : 0)], 4);
        return format == GR_SCALE_F32 ? single : format == GR_SCALE_BF16 ? from_bits(half << 16) : LOG8[scales[index]];
    }

    int rounded(int i, int j, float value) const {
        const float by = scale(i, j);
        const double integer = nearbyint(value * (by == 0 ? 0 : 1 / by));
        if (integer != integer) {
            return 0;
        }
        return static_cast<int>(std::max<double>(-most, std::min<double>(most, integer)));
    }

    // Bit by bit, the lowest first.
    void put(int i, int j, float value) {
        unsigned code = bits_of(value);
        if (codec == GR_BF16) {
            code = bits_of(bf16(value)) >> 16;
        } else if (codec != GR_F32) {
            code = static_cast<unsigned>(rounded(i, j, value) + (codec == GR_INT8 ? 0 : most + 1));
        }
        for (int b = 0; b < bits; b++) {
            set_bit(i, j * bits + b, code >> b & 1);
        }
        if (j == width - 1 && codec == GR_INT4 && width % 2 == 1) {
            codes[i * row_bytes + row_bytes - 1] |= 0x80;
        }
    }

    void set_bit(int i, int bit, unsigned value) {
        uint8_t& byte = codes[i * row_bytes + bit / 8];
        byte = static_cast<uint8_t>((byte & ~(1u << bit % 8)) | value << bit % 8);
    }

    float get(int i, int j) const {
        unsigned code = 0;
        for (int b = 0; b < bits; b++) {
            const int bit = j * bits + b;
            code |= (codes[i * row_bytes + bit / 8] >> bit % 8 & 1u) << b;
        }
        switch (codec) {
            case GR_F32:
                return from_bits(code);
            case GR_BF16:
                return from_bits(code << 16);
            case GR_INT8:
                return static_cast<float>(static_cast<signed char>(code)) * scale(i, j);
            default:
                return static_cast<float>(static_cast<int>(code) - most - 1) * scale(i, j);
        }
    }

    GrFactor parameters() {
        return {codes.data(), scales.data(), values.data(), first.data(), second.data(), sizes.data(), row_bytes,
                width,        block,         scales_per_row, codec,        format,        0};
    }
};

// Every codec and scale format, ragged widths, one scale a row and several.
std::vector<Stored> all_matrices(Random& random) {
    std::vector<Stored> all;
    for (int codec : CODECS) {
        for (int format : {GR_SCALE_F32, GR_SCALE_BF16, GR_SCALE_LOG8}) {
            for (int width : {1, 7, 32, 45, 300}) {
                const int rows = 1 + static_cast<int>(random.below(5));
                all.emplace_back(random, codec, format, rows, width, width);
                all.emplace_back(random, codec, format, rows, width, 32);
            }
        }
    }
    return all;
}

GrFactorRows rows_of(const std::vector<GrFactor>& table, int matrix, int first, int count) {
    return {table.data(), nullptr, nullptr, nullptr, LOG8.data(), matrix, first, count, 0};
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
               GrTrainingDecodeParams{rows_of(table, static_cast<int>(n), first, count), target.data(), stride, 0});
        for (int i = 0; i < count; i++) {
            for (int j = 0; j < stride; j++) {
                const float expected = j < m.width ? m.get(first + i, j) : 0;
                GR_CHECK(target[i * stride + j] == expected, "codec %d, row %d, number %d", m.codec, i, j);
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
    const GrFactorRows rows = {table.data(), order.data(), group_of.data(), slot_of.data(), LOG8.data(), 0, first, count,
                               0};
    launch("gr_training_decode", blocks(count, 4), 1, 128, 0, GrTrainingDecodeParams{rows, target.data(), stride, 0});
    for (int i = 0; i < count; i++) {
        const int token = order[first + i];
        const Stored& m = all[group_of[token]];
        for (int j = 0; j < stride; j++) {
            const float expected = j < m.width ? m.get(slot_of[token], j) : 0;
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
            m.put_scale(0, m.format == GR_SCALE_F32 ? 1e-40f : 0);
        }
        const std::vector<GrFactor> table = {m.parameters()};
        launch("gr_training_begin", blocks(m.rows, 4), 1, 128, 0, GrTrainingBeginParams{rows_of(table, 0, 0, m.rows)});
        std::vector<double> values(m.rows * m.width), first(values.size()), second(values.size());
        for (int i = 0; i < m.rows; i++) {
            double squares = 0;
            for (int j = 0; j < m.width; j++) {
                values[i * m.width + j] = m.get(i, j);
                GR_CHECK(m.values[i * m.width + j] == m.get(i, j), "a copy of what is stored");
                squares += static_cast<double>(m.get(i, j)) * m.get(i, j);
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
                                        second_scale, stride, renew ? 1 : 0, 0});
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
                float largest = 0;
                for (int j = s * m.block; j < std::min(m.width, (s + 1) * m.block); j++) {
                    largest = std::max(largest, fabsf(m.values[i * m.width + j]));
                }
                expected.put_scale(i * m.scales_per_row + s, largest / static_cast<float>(m.most));
            }
            for (int j = 0; j < m.width; j++) {
                expected.put(i, j, m.values[i * m.width + j]);
            }
        }
        GR_CHECK(expected.scales == m.scales, "scales of codec %d, format %d, width %d", m.codec, m.format, m.width);
        GR_CHECK(expected.codes == m.codes, "codes of codec %d, format %d, width %d", m.codec, m.format, m.width);
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
