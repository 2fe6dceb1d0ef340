// Left factors and dense rows to stored form and back.
//
//   x_j = c_j factor_j
//   scale of a block = argmin over at most 25 scales s of sum_j u_j (x_j - clamp(round(x_j / s)) s)^2
//   stored number    = clamp(round(x_j (1 / scale)))
//
// Shapes: count x width numbers, of a row the first as its group has; groups as stored.h has them. Errors are summed as
// the host sums them, number by number, and so bring forth the same scale: each lane tries one scale and all pass over
// the numbers together. Never materialised: scaled coordinates, rounded numbers before they are packed. Twins:
// encodeRow and decodeRow of io.groupreduce.matrix.EncodedMatrix, of which the same numbers give the same bytes.
#include "groupreduce/encode.h"
#include "stored_rows.h"

namespace gr::encode {
namespace {

constexpr int TILE = 128;
constexpr int WARPS = 4;  // of a block of gr_encode

// Adding it to a number below 2^22 in magnitude rounds that to an integer, ties to even.
constexpr float ROUNDING = 12582912.0f;  // 1.5 * 2^23

// Products and sums rounded on their own, as Java rounds them: same bits on the card and the host. The emulation is
// compiled without contraction anyway.
#ifdef __CUDACC__
GR_DEVICE float multiply(float a, float b) { return __fmul_rn(a, b); }
GR_DEVICE float add(float a, float b) { return __fadd_rn(a, b); }
#else
inline float multiply(float a, float b) { return a * b; }
inline float add(float a, float b) { return a + b; }
#endif

// The group that a row of the block belongs to: the last one that begins at it or before.
GR_DEVICE const GrStored& group_of(const GrStored* groups, int count, int row) {
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

// The numbers of a row.
struct Numbers {
    const float* values;
    const float* factors;

    GR_DEVICE float operator[](int j) const { return factors == nullptr ? values[j] : multiply(values[j], factors[j]); }
};

// A warp's part of shared memory: TILE numbers and what their errors count.
struct Tile {
    float* numbers;
    float* weights;
};

// Of this lane: a scale to try, or 0 for none.
GR_DEVICE float candidate(const GrStored& to, const float* log8, const float* fine, float largest) {
    const float exact = largest / static_cast<float>(stored::max_integer(to.rows.bits));
    if (to.rows.scale_bytes == GR_SCALE_LOG8) {
        const int code = stored::log8_at_least(log8, exact);
        return lane() <= min(code - 1, to.steps) ? log8[code - lane()] : 0.0f;
    }
    if (lane() > to.steps || exact == 0) {
        return 0;
    }
    const float scale = lane() == 0 ? exact : multiply(exact, fine[lane()]);
    return to.rows.scale_bytes == GR_SCALE_BF16 ? bits_float(stored::bf16_at_least(scale)) : scale;
}

// A number less its rounded and clipped value. Near ROUNDING one unit of a float's bits is one integer, and the bits
// ascend with them.
GR_DEVICE float distance(float value, int low, int high) {
    const int bits = static_cast<int>(float_bits(add(value, ROUNDING)));
    const int clipped = max(low, min(high, bits));
    return add(value, -add(bits_float(static_cast<unsigned>(clipped)), -ROUNDING));
}

// The weighted error of numbers [from, to) at this lane's scale, in units of the scale, so that small numbers do not
// vanish when they are squared.
GR_DEVICE float scale_error(const Numbers& x, int bits, const float* error_weights, int from, int to, float scale,
                            const Tile& tile) {
    const float inverse = 1 / scale;
    const int max = stored::max_integer(bits);
    const int center = static_cast<int>(float_bits(ROUNDING));
    float sum = 0;
    for (int first = from; first < to; first += TILE) {
        const int count = min(TILE, to - first);
        for (int j = lane(); j < (count + 3) / 4 * 4; j += 32) {
            const bool inside = j < count;
            tile.numbers[j] = inside ? x[first + j] : 0.0f;
            tile.weights[j] = inside && error_weights != nullptr ? error_weights[first + j] : 1.0f;
        }
        sync_warp();
        for (int j = 0; j < count; j += 4) {
            const float4 y = *reinterpret_cast<const float4*>(tile.numbers + j);
            const float4 u = *reinterpret_cast<const float4*>(tile.weights + j);
            const float ys[4] = {y.x, y.y, y.z, y.w};
            const float us[4] = {u.x, u.y, u.z, u.w};
            GR_UNROLL
            for (int i = 0; i < 4; i++) {
                const float off = distance(multiply(ys[i], inverse), center - max, center + max);
                sum = add(sum, multiply(us[i], multiply(off, off)));
            }
        }
        sync_warp();
    }
    return sum;
}

// The scale of least error for numbers [from, to), the larger one of equally good ones; 0 where all numbers are 0. In
// every lane.
GR_DEVICE float least_error_scale(const GrEncodeParams& p, const GrStored& group, const Numbers& x, int from, int to,
                                  const Tile& tile) {
    float largest = 0;
    for (int j = from + lane(); j < to; j += 32) {
        largest = fmaxf(largest, fabsf(x[j]));
    }
    largest = warp_max(largest);
    const float scale = candidate(group, p.log8, p.fine, largest);
    double error =
        static_cast<double>(scale) * scale * scale_error(x, group.rows.bits, p.error_weights, from, to, scale, tile);
    // A scale without an inverse has no error, and is taken only if it is the first one and there is no other.
    error = scale > 0 && error < INFINITY ? error : INFINITY;
    int best = lane();
    GR_UNROLL
    for (int mask = 16; mask > 0; mask /= 2) {
        const double other_error = shuffle_xor(error, mask);
        const int other = shuffle_xor(best, mask);
        if (other_error < error || (other_error == error && other < best)) {
            error = other_error;
            best = other;
        }
    }
    return shuffle(scale, best);
}

}  // namespace

// Bytes a row: 4 width read (again from a cache), its stored bytes written. Operations: 9 instructions a number, 32
// scales at a time.
GR_KERNEL(gr_encode, GrEncodeParams, 128, 10) {
    GR_SHARED(float, numbers, WARPS * TILE);
    GR_SHARED(float, weights, WARPS * TILE);
    const int index = warp_in_grid();
    if (index >= p.count) {
        return;
    }
    // A copy: through a reference every store to the codes would make the compiler read it anew.
    const GrStored group = group_of(p.groups, p.group_count, index);
    const GrStoredRows& rows = group.rows;
    const Numbers x = {p.values + static_cast<int64_t>(index) * p.width, p.factors};
    const int64_t row = index - group.first;
    uint8_t* codes = rows.codes + row * rows.row_bytes;
    if (rows.bits == 32) {
        for (int j = lane(); j < rows.width; j += WARP) {
            reinterpret_cast<float*>(codes)[j] = x[j];
        }
        return;
    }
    if (rows.bits == 16) {
        for (int j = lane(); j < rows.width; j += WARP) {
            reinterpret_cast<unsigned short*>(codes)[j] = to_bf16(x[j]);
        }
        return;
    }
    const Tile tile = {numbers + warp() * TILE, weights + warp() * TILE};
    for (int s = 0; s < rows.scales_per_row; s++) {
        const int from = s * rows.block;
        const int to = min(rows.width, from + rows.block);
        const float scale = least_error_scale(p, group, x, from, to, tile);
        if (lane() == 0) {
            stored::store_scale(rows.scales, rows.scale_bytes, row * rows.scales_per_row + s, scale, p.log8);
        }
    }
    sync_warp();
    stored::store_integers(rows, row, x, p.log8);
}

// Bytes a row: its stored bytes read, 4 width written.
GR_KERNEL(gr_decode, GrDecodeParams, 256) {
    const int index = warp_in_grid();
    if (index >= p.count) {
        return;
    }
    const GrStored group = group_of(p.groups, p.group_count, index);
    float* values = p.values + static_cast<int64_t>(index) * p.width;
    for (int j = lane(); j < p.width; j += WARP) {
        values[j] = j < group.rows.width ? stored::decode(group.rows, index - group.first, j, p.log8) : 0.0f;
    }
}

}  // namespace gr::encode
