// gr_pack against the layout that softmax.h describes, read number by number, and gr_rows against double.
#include "packed_codes.h"
#include "softmax_head.h"

using namespace gr::test;

namespace {

// A packed number or code by the words of softmax.h; independent of the kernels' own way.
unsigned packed_bits(const Factor& f, int row, int column) {
    const uint8_t* at = f.packed->get() + row / 32 * f.strip_bytes();
    unsigned bits = 0;
    if (!f.scaled()) {
        const int tile = row % 32 / 16, r = row % 16, c = column % 16;
        const int lane = r % 8 * 4 + c % 8 / 2, number = c / 8 * 4 + r / 8 * 2 + c % 2;
        at += column / 16 * f.bits * 64;
        at += lane * 16 + (f.bits == 32 ? (2 * tile + number / 4) * 512 + number % 4 * 4 : tile * 512 + number * 2);
        memcpy(&bits, at, f.bits / 8);
        return bits;
    }
    const auto width_of = [&](int block) {
        const int most = f.widths[block * 32];
        const bool half = f.width - block * 32 <= 16;
        return half ? (most <= 2 ? 2 : most <= 4 ? 4 : 8) : most == 7 ? 8 : most;
    };
    for (int block = 0; block < column / 32; block++) {
        at += width_of(block) * 128;
    }
    const int width = width_of(column / 32);
    const bool half = f.width - column / 32 * 32 <= 16;
    for (int n = 0; n < width; n++) {
        const PackedBit place = packed_bit(width, half, row % 32 / 8, column % 32 >= 16, column % 4, n);
        unsigned word;
        const int lane = row % 8 * 4 + column % 16 / 4;
        memcpy(&word, at + 4 * packed_word(half ? width / 2 : width, lane, place.word), 4);
        bits |= (word >> place.bit & 1) << n;
    }
    return bits;
}

void everyNumberIsWhereTheLayoutSays() {
    Random random(1);
    for (int codec = F32; codec < CODECS; codec++) {
        for (int width : {1, 15, 16, 17, 32, 33, 47, 48, 49, 100}) {
            for (int rows : {1, 31, 32, 70}) {
                const Factor f = random_factor(random, codec, rows, width, GR_SCALE_F32, false, 1);
                for (int row = 0; row < f.strips() * 32; row++) {
                    for (int column = 0; column < (width + 15) / 16 * 16; column++) {
                        const unsigned wanted = row < rows && column < width ? f.code(row, column) : 0;
                        GR_CHECK(packed_bits(f, row, column) == wanted, "codec %d, %d x %d, row %d, column %d", codec,
                                 rows, width, row, column);
                    }
                }
                for (size_t at = (f.strips() * f.strip_bytes()); at % 512 != 0; at++) {
                    GR_CHECK(f.packed->get()[at] == 0xFF, "codec %d writes beyond %d x %d", codec, rows, width);
                }
            }
        }
    }
}

void rowsAreSumsOverDirections() {
    for (int columns : {1, 35, 67, 1100}) {
        const bool wide = columns > 1000;
        Head head(static_cast<unsigned long long>(2 + columns), columns);
        head.basis(columns, wide ? INT8 : F32)
            .basis((columns + 1) / 2, BF16)
            .basis((columns + 2) / 3, INT4, true);
        for (int codec = F32; codec < CODECS && !wide; codec++) {
            head.group(0, columns, 9, codec, GR_SCALE_LOG8).group(1, (columns + 1) / 2, 40, codec, GR_SCALE_BF16, true);
            head.group(2, 1, 2, codec).dense(34, codec, GR_SCALE_F32, true).dense(3, codec, GR_SCALE_LOG8);
        }
        head.group(0, columns, 3, INT8).zero(3).build();
        std::vector<int32_t> tokens;
        for (int n = 0; n < (wide ? 6 : 2 * head.vocabulary); n++) {
            tokens.push_back(static_cast<int32_t>(head.random.below(head.vocabulary)));
        }
        const size_t count = tokens.size();
        std::vector<float> rows(count * columns + 1, -777.0f);
        const GrRowsParams p{head.group_views.data(),
                             head.right_views.data(),
                             log8_scales().data(),
                             head.group_of.data(),
                             head.slot_of.data(),
                             head.basis_of.data(),
                             tokens.data(),
                             rows.data(),
                             columns,
                             static_cast<int32_t>(count)};
        gr::emulator::launch("gr_rows", blocks(static_cast<int>(count), GR_ROWS_OF_BLOCK), 1, 128, 0, p);
        GR_CHECK(rows.back() == -777.0f);
        for (size_t n = 0; n < count; n++) {
            const GroupOfHead& g = head.groups[head.group_of[tokens[n]]];
            const int slot = head.slot_of[tokens[n]];
            for (int j = 0; j < columns; j++) {
                double sum = 0, magnitude = 0;
                for (int k = 0; k < g.left.width && g.basis >= 0; k++) {
                    const double product = g.left.number(slot, k) * head.bases[g.basis].number(k, j);
                    sum += product;
                    magnitude += fabs(product);
                }
                if (g.basis == -1) {
                    sum = g.left.number(slot, j);
                    magnitude = fabs(sum);
                }
                const double found = rows[n * columns + j];
                GR_CHECK(fabs(found - sum) <= 0x1p-24 * (4 + sqrt(columns)) * magnitude,
                         "token %d, column %d: %g, not %g", tokens[n], j, found, sum);
            }
        }
    }
}

}  // namespace

int main() {
    everyNumberIsWhereTheLayoutSays();
    rowsAreSumsOverDirections();
    return 0;
}
