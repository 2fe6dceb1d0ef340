// The kernels of compress.cu against plain loops in double: ragged sizes, every element type, lists of rows, ties.
#include "groupreduce/compress.h"

#include <math.h>
#include <string.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "../emulator/emulator.h"
#include "check.h"

namespace {

using gr::test::Random;

constexpr int BLOCK = 256;
constexpr int ROWS_PER_BLOCK = BLOCK / 32;

unsigned blocks(int64_t threads) { return static_cast<unsigned>((threads + BLOCK - 1) / BLOCK); }

unsigned row_blocks(int rows) { return static_cast<unsigned>((rows + ROWS_PER_BLOCK - 1) / ROWS_PER_BLOCK); }

// A half-precision number by its definition.
double half(unsigned short bits) {
    const double sign = bits & 0x8000 ? -1 : 1;
    const int exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
    if (exponent == 31) {
        return fraction ? std::numeric_limits<double>::quiet_NaN() : sign * std::numeric_limits<double>::infinity();
    }
    return sign * (exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25));
}

// Runs gr_copy_rows over one row of every bit pattern there is.
void every_half_is_widened() {
    for (int type : {GR_ELEMENT_F16, GR_ELEMENT_BF16}) {
        std::vector<unsigned short> bits(65536);
        for (size_t x = 0; x < bits.size(); x++) {
            bits[x] = static_cast<unsigned short>(x);
        }
        std::vector<float> target(bits.size(), -7);
        GrCopyRowsParams p = {};
        p.values = bits.data();
        p.target = target.data();
        p.count = 16;
        p.columns = 4096;
        p.type = type;
        gr::emulator::launch("gr_copy_rows", row_blocks(p.count), 1, BLOCK, 0, p);
        for (size_t x = 0; x < bits.size(); x++) {
            const double expected = type == GR_ELEMENT_F16 ? half(bits[x]) : gr::test::from_half_bits(bits[x]);
            const bool same = target[x] == expected && signbit(target[x]) == signbit(expected);
            const bool neither = target[x] != target[x] && expected != expected;
            GR_CHECK(same || neither, "type %d, bits %zx: %g is not %g", type, x, static_cast<double>(target[x]),
                     expected);
        }
    }
}

struct Listed {
    bool by_place, by_number;
    int factor;  // 0: none, 1: weight, 2: its root
};

void rows_are_copied(int type, int columns, Listed listed, bool wide) {
    Random random(17 * columns + type + 100 * listed.factor);
    const int rows = 53, count = 41;
    const size_t size = type == GR_ELEMENT_F32 ? 4 : 2;
    std::vector<unsigned char> stored(rows * columns * size);
    std::vector<double> values(rows * columns);
    for (size_t x = 0; x < values.size(); x++) {
        const float f = random.gaussian();
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        if (type == GR_ELEMENT_F32) {
            memcpy(&stored[4 * x], &f, 4);
            values[x] = f;
        } else {
            const unsigned narrow = type == GR_ELEMENT_F16 ? 0x3000 + random.below(0x1000) : bits >> 16;
            const unsigned short h = static_cast<unsigned short>(narrow);
            memcpy(&stored[2 * x], &h, 2);
            values[x] = type == GR_ELEMENT_F16 ? half(h) : gr::test::from_half_bits(h);
        }
    }
    std::vector<int32_t> places(count), numbers(count);
    std::vector<float> weights(rows);
    for (float& w : weights) {
        w = random.below(9) == 0 ? 0 : expf(2 * random.gaussian());
    }
    for (int i = 0; i < count; i++) {
        places[i] = static_cast<int32_t>(random.below(rows));
        numbers[i] = static_cast<int32_t>(random.below(rows));
    }
    std::vector<double> target(count * columns + 2, -7);
    GrCopyRowsParams p = {};
    p.values = stored.data();
    p.places = listed.by_place ? places.data() : nullptr;
    p.numbers = listed.by_number ? numbers.data() : nullptr;
    p.weights = listed.factor ? weights.data() : nullptr;
    p.target = target.data();
    p.count = count;
    p.columns = columns;
    p.type = type;
    p.wide = wide;
    p.root = listed.factor == 2;
    gr::emulator::launch("gr_copy_rows", row_blocks(count), 1, BLOCK, 0, p);
    const float* narrow = reinterpret_cast<const float*>(target.data());
    for (int i = 0; i < count; i++) {
        const double w = weights[listed.by_number ? numbers[i] : i];
        const double f = listed.factor == 0 ? 1 : listed.factor == 1 ? w : sqrt(w);
        for (int j = 0; j < columns; j++) {
            const int x = i * columns + j;
            const double expected = f * values[(listed.by_place ? places[i] : i) * columns + j];
            const double found = wide ? target[x] : narrow[x];
            GR_CHECK(fabs(found - expected) <= (wide ? 0 : 0x1p-23) * fabs(expected),
                     "type %d, row %d, column %d of %d: %g is not %g", type, i, j, columns, found, expected);
        }
    }
    GR_CHECK(wide ? target[count * columns] == -7 : target[count * columns / 2 + 1] == -7, "wrote beyond the rows");
}

void rows_are_copied_from_everywhere() {
    for (int type : {GR_ELEMENT_F32, GR_ELEMENT_F16, GR_ELEMENT_BF16}) {
        for (int columns : {1, 37, 64, 132}) {
            for (bool wide : {false, true}) {
                rows_are_copied(type, columns, {false, false, 0}, wide);
                rows_are_copied(type, columns, {true, true, 2}, wide);
                rows_are_copied(type, columns, {false, true, 2}, wide);
                rows_are_copied(type, columns, {false, false, 1}, wide);
            }
        }
    }
}

void norms_are_exact() {
    for (int columns : {1, 31, 200}) {
        Random random(columns);
        const int count = 19;
        std::vector<float> rows(count * columns), norms(count + 1, -7);
        for (float& v : rows) {
            v = random.gaussian() * (random.below(20) == 0 ? 1e4f : 1);
        }
        const GrRowNormsParams p = {rows.data(), norms.data(), count, columns};
        gr::emulator::launch("gr_row_norms", row_blocks(count), 1, BLOCK, 0, p);
        for (int i = 0; i < count; i++) {
            double expected = 0;
            for (int j = 0; j < columns; j++) {
                expected += static_cast<double>(rows[i * columns + j]) * rows[i * columns + j];
            }
            GR_CHECK(fabs(norms[i] - expected) <= 0x1p-23 * expected, "row %d of %d columns", i, columns);
        }
        GR_CHECK(norms[count] == -7, "wrote beyond the rows");
    }
}

void parts_are_added(bool wide, bool upper) {
    const int rows = upper ? BLOCK + 2 : 3;
    const int columns = BLOCK + 2, parts = 3;
    const int64_t count = rows * columns, stride = count + 5;
    Random random(5);
    std::vector<float> narrow(parts * stride, NAN);
    std::vector<double> values(parts * stride, NAN), sums(count + 1, 3);
    for (int t = 0; t < parts; t++) {
        for (int64_t x = 0; x < count; x++) {
            if (!upper || x % columns >= x / columns) {
                narrow[t * stride + x] = random.gaussian();
                values[t * stride + x] = narrow[t * stride + x] * (wide ? 1 + 0x1p-40 : 1);
            }
        }
    }
    const void* from = wide ? static_cast<const void*>(values.data()) : narrow.data();
    const GrAddPartsParams p = {from, sums.data(), -1, stride, parts, columns, wide, upper};
    gr::emulator::launch("gr_add_parts", blocks(columns), rows, BLOCK, 0, p);
    for (int64_t x = 0; x < count; x++) {
        const bool there = !upper || x % columns >= x / columns;
        const double sum = values[x] + values[stride + x] + values[2 * stride + x];
        GR_CHECK(sums[x] == (there ? 3 - sum : 3), "number %d, wide %d, upper %d", static_cast<int>(x), wide, upper);
    }
    GR_CHECK(sums[count] == 3, "wrote beyond the end");
}

void numbers_are_rounded() {
    const int64_t count = 3 * BLOCK + 5;
    Random random(5);
    std::vector<float> rounded(count + 1, -7);
    std::vector<double> wide(count);
    for (double& x : wide) {
        x = random.gaussian() * (1 + 0x1p-40);
    }
    gr::emulator::launch("gr_narrow", blocks(count), 1, BLOCK, 0, GrNarrowParams{wide.data(), rounded.data(), count});
    for (int64_t x = 0; x < count; x++) {
        GR_CHECK(rounded[x] == static_cast<float>(wide[x]), "rounded");
    }
    GR_CHECK(rounded[count] == -7, "wrote beyond the end");
}

void rows_are_split(int columns, bool left) {
    constexpr int places = 6;
    static const int ORDER[2][places] = {{0, 1, 2, 0, 1, 0}, {2, 1, 0, 1, 0, 0}};
    const int(&order)[places] = ORDER[left];
    Random random(columns);
    const int count = 9, padded = (columns + 7) / 8 * 8;
    std::vector<float> values(count * columns);
    for (float& v : values) {
        v = random.gaussian() * (random.below(9) == 0 ? 1e4f : 1);
    }
    std::vector<uint16_t> terms(count * places * padded + 1, 77);
    const GrSplitRowsParams p = {values.data(), terms.data(), count, columns, left};
    gr::emulator::launch("gr_split_rows", row_blocks(count), 1, BLOCK, 0, p);
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < padded; j++) {
            const int chunk = j / GR_SPLIT_COLUMNS * GR_SPLIT_COLUMNS;
            const int width = padded - chunk < GR_SPLIT_COLUMNS ? padded - chunk : GR_SPLIT_COLUMNS;
            const uint16_t* at = &terms[i * places * padded + places * chunk + j - chunk];
            double rest = j < columns ? values[i * columns + j] : 0;
            double bound = fabs(rest);
            for (int t = 0; t < 3; t++) {
                const uint16_t term = at[width * (std::find(order, order + places, t) - order)];
                rest -= gr::test::from_half_bits(term);
                bound *= 0x1p-8;
                GR_CHECK(fabs(rest) <= bound, "row %d, column %d of %d, term %d", i, j, columns, t);
                for (int place = 0; place < places; place++) {
                    GR_CHECK(order[place] != t || at[width * place] == term, "place %d, column %d", place, j);
                }
            }
        }
    }
    GR_CHECK(terms.back() == 77, "wrote beyond the rows");
}

void prefixes_add_up() {
    Random random(6);
    const int count = 21, width = 131, stride = 7, first = 2;
    const std::vector<int32_t> ends = {1, 33, 64, 131};
    std::vector<float> coordinates(count * width), kept(count * stride, -7);
    for (float& v : coordinates) {
        v = random.gaussian();
    }
    const int32_t levels = static_cast<int32_t>(ends.size());
    const GrPrefixEnergiesParams p = {
        coordinates.data(), ends.data(), kept.data() + first, count, width, levels, stride};
    gr::emulator::launch("gr_prefix_energies", row_blocks(count), 1, BLOCK, 0, p);
    for (int i = 0; i < count; i++) {
        for (int s = 0; s < stride; s++) {
            const int l = s - first;
            if (l < 0 || l >= static_cast<int>(ends.size())) {
                GR_CHECK(kept[i * stride + s] == -7, "row %d: slot %d of another basis", i, s);
                continue;
            }
            double expected = 0;
            for (int j = 0; j < ends[l]; j++) {
                expected += static_cast<double>(coordinates[i * width + j]) * coordinates[i * width + j];
            }
            GR_CHECK(fabs(kept[i * stride + s] - expected) <= 0x1p-23 * expected, "row %d, rank %d", i, ends[l]);
        }
    }
}

void the_cheapest_candidate_wins() {
    Random random(7);
    const int count = BLOCK + 60, candidates = 6, slots = 2;
    std::vector<float> energies(count), weights(count), kept(count * slots), gain(count + 1, -7);
    std::vector<uint8_t> current(count), best(count + 1, 99);
    const std::vector<int32_t> slots_of = {1, GR_KEEPS_NOTHING, 0, 1, GR_KEEPS_NOTHING, GR_KEEPS_ALL};
    const std::vector<double> prices = {0.5, 0, 0.25, 0.5, std::numeric_limits<double>::infinity(), 2};
    for (int i = 0; i < count; i++) {
        energies[i] = expf(2 * random.gaussian());
        weights[i] = i % 11 == 0 ? 0 : expf(random.gaussian());
        kept[2 * i] = energies[i] * (0.5f + 0.5f * random.uniform());
        // Rounding may lift what is kept above the energy.
        kept[2 * i + 1] = i % 7 == 0 ? energies[i] * 1.0001f : energies[i] * (0.9f + 0.1f * random.uniform());
        current[i] = static_cast<uint8_t>(i % 4 == 3 ? 5 : i % 4);
    }
    const GrChooseCandidateParams p = {energies.data(), weights.data(), kept.data(), prices.data(),
                                       slots_of.data(), current.data(), best.data(), gain.data(),
                                       count,           candidates,     slots};
    gr::emulator::launch("gr_choose_candidate", blocks(count), 1, BLOCK, 0, p);
    bool taken[candidates] = {};
    for (int i = 0; i < count; i++) {
        double objective[candidates];
        int least = 0;
        for (int c = 0; c < candidates; c++) {
            const double residual = slots_of[c] == GR_KEEPS_ALL ? 0
                                    : slots_of[c] == GR_KEEPS_NOTHING
                                        ? energies[i]
                                        : fmax(0, static_cast<double>(energies[i] - kept[2 * i + slots_of[c]]));
            objective[c] = weights[i] * residual + prices[c];
            least = objective[c] < objective[least] ? c : least;
        }
        GR_CHECK(best[i] == least, "row %d takes %d, not %d", i, best[i], least);
        const float expected = static_cast<float>(objective[current[i]] - objective[least]);
        GR_CHECK(gain[i] == expected && gain[i] >= 0, "gain of row %d", i);
        taken[least] = true;
    }
    GR_CHECK(taken[0] && taken[1] && taken[2] && taken[5], "not every candidate could win");
    GR_CHECK(!taken[3] && !taken[4], "the second of twins or a barred candidate won");
    GR_CHECK(gain[count] == -7 && best[count] == 99, "wrote beyond the rows");
}

void listed_rows_gain_when_dense() {
    Random random(8);
    const int rows = 90, count = 60;
    std::vector<float> energies(rows), weights(rows), kept(count), gain(rows, -7);
    std::vector<int32_t> numbers(count);
    for (int i = 0; i < rows; i++) {
        energies[i] = expf(random.gaussian());
        weights[i] = expf(random.gaussian());
    }
    for (int x = 0; x < count; x++) {
        numbers[x] = x + x / 2;
        kept[x] = energies[numbers[x]] * (x % 5 == 0 ? 1.001f : 0.7f);
    }
    for (int kind = 0; kind < 3; kind++) {
        GrGainWhenDenseParams p = {energies.data(), weights.data(), numbers.data(), kind == 0 ? kept.data() : nullptr,
                                   gain.data(),     0.25,           count,          kind == 2};
        gr::emulator::launch("gr_gain_when_dense", blocks(count), 1, BLOCK, 0, p);
        std::vector<float> expected(rows, -7);
        for (int x = 0; x < count; x++) {
            const int i = numbers[x];
            const float residual = kind == 2 ? 0 : fmaxf(0, energies[i] - (kind == 0 ? kept[x] : 0));
            expected[i] = static_cast<float>(static_cast<double>(weights[i]) * residual + 0.25);
        }
        GR_CHECK(gain == expected, "gains of kind %d", kind);
    }
}

}  // namespace

int main() {
    every_half_is_widened();
    rows_are_copied_from_everywhere();
    norms_are_exact();
    for (bool wide : {false, true}) {
        parts_are_added(wide, false);
        parts_are_added(wide, true);
    }
    numbers_are_rounded();
    for (int columns : {1, 17, 256, 521, 600}) {
        rows_are_split(columns, false);
        rows_are_split(columns, true);
    }
    prefixes_add_up();
    the_cheapest_candidate_wins();
    listed_rows_gain_when_dense();
    puts("compress: passed");
}
