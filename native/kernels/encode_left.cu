// Left factors and dense rows to stored form and back.
//
//   x_j = c_j factor_j
//   scale of a block = the one of least error, see scale_search.h
//   stored number    = code of the value nearest to x_j (1 / scale)
//
// Shapes: count x width numbers, of a row the first as its group has; groups as stored.h has them. Never materialised:
// scaled coordinates, codes before they are packed. Twins: encodeRow and decodeRow of
// io.groupreduce.matrix.EncodedMatrix, of which the same numbers give the same bytes.
#include "scale_search.h"

namespace gr::encode {
namespace {

using stored::TILE;

constexpr int WARPS = 4;  // of a block of gr_encode

// The group that a row of the block belongs to: the last one that begins at it or before.
GR_DEVICE const GrStoredRows& group_of(const GrStoredRows* groups, int count, int row) {
    int low = 0, high = count - 1;
    while (low < high) {
        const int middle = (low + high + 1) / 2;
        if (groups[middle].first <= row) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return groups[low];
}

}  // namespace

// Bytes a row: 4 width read (again from a cache), its stored bytes written. Operations: 11 instructions a number, 32
// scales at a time.
GR_KERNEL(gr_encode, GrEncodeParams, 128, 8) {
    GR_SHARED(float, numbers, WARPS* TILE);
    GR_SHARED(float, weights, WARPS* TILE);
    const int index = warp_in_grid();
    if (index >= p.count) {
        return;
    }
    // A copy: through a reference every store to the codes would make the compiler read it anew.
    const GrStoredRows group = group_of(p.groups, p.group_count, index);
    const GrRowForm& form = group.form;
    const stored::Numbers x = {p.values + static_cast<int64_t>(index) * p.width, p.factors};
    const int64_t row = index - group.first;
    uint8_t* codes = group.codes + row * form.row_bytes;
    if (form.bits == 32) {
        for (int j = lane(); j < form.width; j += WARP) {
            reinterpret_cast<float*>(codes)[j] = x[j];
        }
        return;
    }
    if (form.bits == 16) {
        for (int j = lane(); j < form.width; j += WARP) {
            reinterpret_cast<unsigned short*>(codes)[j] = to_bf16(x[j]);
        }
        return;
    }
    const stored::Tile tile = {numbers + warp() * TILE, weights + warp() * TILE};
    const stored::ScaleSearch search = {form, p.error_weights, p.scales, tile};
    for (int s = 0; s < form.scales_per_row; s++) {
        const float scale = search.find(x, s * form.block, min(form.width, (s + 1) * form.block)).scale;
        if (lane() == 0) {
            stored::store_scale(group.scales, form.scale_bytes, row * form.scales_per_row + s, scale, p.scales.log8);
        }
    }
    sync_warp();
    stored::store_codes(group, row, x, p.scales.log8);
}

// Bytes a row: its stored bytes read, 4 width written.
GR_KERNEL(gr_decode, GrDecodeParams, 256) {
    const int index = warp_in_grid();
    if (index >= p.count) {
        return;
    }
    const GrStoredRows group = group_of(p.groups, p.group_count, index);
    float* values = p.values + static_cast<int64_t>(index) * p.width;
    for (int j = lane(); j < p.width; j += WARP) {
        values[j] = j < group.form.width ? stored::decode(group, index - group.first, j, p.log8) : 0.0f;
    }
}

}  // namespace gr::encode
