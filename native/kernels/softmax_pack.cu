// Stored rows to packed strips, and packed strips back to rows of A^. Twins:
// io.groupreduce.vector.inference.TilePacker and RowReader, rows of
// io.groupreduce.internal.reference.ReferenceInference.
#include "softmax_numbers.h"

namespace gr::softmax {
namespace {

constexpr int ROW_THREADS = 128;
constexpr int DIRECTIONS = 1024;  // of a left row that shared memory holds at a time

// The bits of a packed number: what is stored, or the value of its code; 0 for what pads.
GR_DEVICE unsigned packed_bits(const GrPackParams& p, int row, int column) {
    const GrRowForm& form = p.stored.form;
    if (row >= p.rows || column >= form.width) {
        return 0;
    }
    const uint8_t* at = p.stored.codes + static_cast<int64_t>(row) * form.row_bytes;
    switch (form.bits) {
        case 32:
            return reinterpret_cast<const unsigned*>(at)[column];
        case 16:
            return reinterpret_cast<const unsigned short*>(at)[column];
        default:
            return static_cast<uint8_t>(stored::code_value(at, form, column));
    }
}

// The bits of the eight numbers that a lane feeds for a tile, in the order of softmax.h.
GR_DEVICE void tile_bits(const GrPackParams& p, int strip, int slice, int tile, unsigned (&bits)[8]) {
    GR_UNROLL
    for (int n = 0; n < 8; n++) {
        const int row = strip * STRIP + tile * 16 + lane() / 4 + n / 2 % 2 * 8;
        bits[n] = packed_bits(p, row, slice * 16 + lane() % 4 * 2 + n % 2 + n / 4 * 8);
    }
}

GR_DEVICE unsigned bytes_of(const unsigned (&bits)[8], int first) {
    return bits[first] | bits[first + 1] << 8 | bits[first + 2] << 16 | bits[first + 3] << 24;
}

GR_DEVICE unsigned halves_of(const unsigned (&bits)[8], int first) { return bits[first] | bits[first + 1] << 16; }

// One lane's share of a slice.
GR_DEVICE void pack_slice(const GrPackParams& p, int strip, int slice) {
    uint8_t* to = p.packed + strip * p.strip_bytes;
    unsigned bits[2][8];
    tile_bits(p, strip, slice, 0, bits[0]);
    tile_bits(p, strip, slice, 1, bits[1]);
    if (p.stored.form.bits <= 8) {
        reinterpret_cast<uint4*>(to + slice * 512)[lane()] =
            make_uint4(bytes_of(bits[0], 0), bytes_of(bits[0], 4), bytes_of(bits[1], 0), bytes_of(bits[1], 4));
        return;
    }
    GR_UNROLL
    for (int t = 0; t < 2; t++) {
        const unsigned (&b)[8] = bits[t];
        if (p.stored.form.bits == 32) {
            uint4* piece = reinterpret_cast<uint4*>(to + slice * 2048 + t * 1024) + lane();
            piece[0] = make_uint4(b[0], b[1], b[2], b[3]);
            piece[WARP] = make_uint4(b[4], b[5], b[6], b[7]);
        } else {
            reinterpret_cast<uint4*>(to + slice * 1024 + t * 512)[lane()] =
                make_uint4(halves_of(b, 0), halves_of(b, 2), halves_of(b, 4), halves_of(b, 6));
        }
    }
}

}  // namespace

// Stored rows to packed strips.
//
//   packed(place of (i, k)) = stored(i, k), or the value of that code
//
// Shapes: rows x width stored, strips of 32 x 16 slices packed (see softmax.h); what pads is a number 0. Bytes: the
// stored rows once (a lane takes single numbers, neighbours in the same 32 bytes), the packed ones once, by 16. Never
// materialised: a number with its scale.
GR_KERNEL(gr_pack, GrPackParams, 256) {
    const int64_t unit = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / WARP;
    if (unit < static_cast<int64_t>(p.strips) * p.slices) {
        pack_slice(p, static_cast<int>(unit / p.slices), static_cast<int>(unit % p.slices));
    }
}

// Rows of A^.
//
//   row_j = sum_k left_k right_kj     (a dense group: left_j; a zero group: 0)
//
// Shapes: count x columns out; sums in binary32, k ascending. Bytes: a row's packed codes and those of its right
// factor, which the second-level cache keeps. Never materialised: a decoded right factor.
GR_KERNEL(gr_rows, GrRowsParams, 128) {
    GR_SHARED(float, left, DIRECTIONS);
    const int token = p.tokens[blockIdx.x];
    const int number = p.group_of[token];
    const GrPacked group = p.groups[number];
    const int basis = p.basis_of[number];
    float* to = p.rows + static_cast<int64_t>(blockIdx.x) * p.columns;
    const int thread = static_cast<int>(threadIdx.x);
    if (basis < 0) {
        for (int j = thread; j < p.columns; j += ROW_THREADS) {
            to[j] = group.slices == 0 ? 0 : scaled_number(group, p.slot_of[token], j, p.log8);
        }
        return;
    }
    const GrPacked right = p.rights[basis];
    for (int first = 0; first < group.columns; first += DIRECTIONS) {
        const int count = min(group.columns - first, DIRECTIONS);
        sync_block();
        for (int k = thread; k < count; k += ROW_THREADS) {
            left[k] = scaled_number(group, p.slot_of[token], first + k, p.log8);
        }
        sync_block();
        for (int j = thread; j < p.columns; j += ROW_THREADS) {
            float sum = first == 0 ? 0 : to[j];
            for (int k = 0; k < count; k++) {
                sum = fma(left[k], scaled_number(right, first + k, j, p.log8), sum);
            }
            to[j] = sum;
        }
    }
}

}  // namespace gr::softmax
