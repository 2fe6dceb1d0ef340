// gr_pack against the layout that softmax.h describes, read number by number, and gr_rows against double.
#include "softmax_head.h"

using namespace gr::test;

namespace {

// The bits of a packed number by the words of softmax.h; independent of the kernels' own way.
unsigned packed_bits(const Factor& f, int row, int column) {
    const int strip = row / 32, tile = row % 32 / 16, r = row % 16, slice = column / 16, c = column % 16;
    const int lane = r % 8 * 4 + c % 8 / 2;
    const int number = c / 8 * 4 + r / 8 * 2 + c % 2;
    const uint8_t* at = f.packed->get() + strip * f.strip_bytes();
    switch (f.packed_codec()) {
        case GR_F32: {
            unsigned bits;
            memcpy(&bits, at + slice * 2048 + (2 * tile + number / 4) * 512 + lane * 16 + number % 4 * 4, 4);
            return bits;
        }
        case GR_BF16: {
            uint16_t bits;
            memcpy(&bits, at + slice * 1024 + tile * 512 + lane * 16 + number * 2, 2);
            return bits;
        }
        default:
            return at[slice * 512 + lane * 16 + tile * 8 + number];
    }
}

double packed_value(const Factor& f, int row, int column) {
    const unsigned bits = packed_bits(f, row, column);
    switch (f.packed_codec()) {
        case GR_F32: {
            float value;
            memcpy(&value, &bits, 4);
            return value;
        }
        case GR_BF16:
            return from_half_bits(bits);
        default:
            return static_cast<int8_t>(bits);
    }
}

void everyNumberIsWhereTheLayoutSays() {
    Random random(1);
    for (int codec = GR_F32; codec <= FALLING; codec++) {
        for (int width : {1, 2, 15, 16, 17, 32, 33, 47, 48, 100}) {
            for (int rows : {1, 16, 31, 32, 33, 70}) {
                const Factor f = random_factor(random, codec, rows, width, GR_SCALE_F32, false, 1);
                for (int row = 0; row < f.strips() * 32; row++) {
                    for (int column = 0; column < f.slices() * 16; column++) {
                        const double wanted = row < rows && column < width ? f.unscaled(row, column) : 0;
                        GR_CHECK(packed_value(f, row, column) == wanted, "codec %d, %d x %d, row %d, column %d", codec,
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
        head.basis(columns, wide ? GR_INT8 : GR_F32)
            .basis((columns + 1) / 2, GR_BF16)
            .basis((columns + 2) / 3, INT4, true);
        for (int codec = GR_F32; codec <= FALLING && !wide; codec++) {
            head.group(0, columns, 9, codec, GR_SCALE_LOG8).group(1, (columns + 1) / 2, 40, codec, GR_SCALE_BF16, true);
            head.group(2, 1, 2, codec).dense(34, codec, GR_SCALE_F32, true).dense(3, codec, GR_SCALE_LOG8);
        }
        head.group(0, columns, 3, GR_INT8).zero(3).build();
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
                             columns};
        gr::emulator::launch("gr_rows", count, 1, 128, 0, p);
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
