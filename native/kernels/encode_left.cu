#include "encode_math.h"

// Left factors and dense rows to stored form and back: encodeRow() and decodeRow() of io.groupreduce.matrix.EncodedMatrix, of
// which the same numbers give the same bytes.
//
//   x_j = c_j factor_j
//   scale of a block = argmin over at most 25 scales s of sum_j u_j (x_j - clamp(round(x_j / s)) s)^2
//   stored number    = clamp(round(x_j (1 / scale)))
//
// Errors are summed as the host sums them, number by number, and so bring forth the same scale: each lane tries one
// scale and all pass over the numbers together. Never materialised: scaled coordinates, rounded numbers before they are
// packed.

namespace gr::encode {
namespace {

constexpr int TILE = 128;
constexpr int WARPS = 4;  // of a block of gr_encode

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

// A row that is being encoded.
struct Row {
    const GrStored& stored;
    const float* log8;
    Numbers x;
    uint8_t* codes;
    int64_t first_scale;
};

// A warp's part of shared memory: TILE numbers and what their errors count.
struct Tile {
    float* numbers;
    float* weights;
};

// Of this lane: a scale to try, or 0 for none.
GR_DEVICE float candidate(const GrStored& stored, const float* log8, const float* fine, float largest) {
    const float exact = largest / static_cast<float>(stored::max_integer(stored.bits));
    if (stored.scale_bytes == 1) {
        const int code = stored::log8_at_least(log8, exact);
        return lane() <= min(code - 1, stored.steps) ? log8[code - lane()] : 0.0f;
    }
    if (lane() > stored.steps || exact == 0) {
        return 0;
    }
    const float scale = lane() == 0 ? exact : multiply(exact, fine[lane()]);
    return stored.scale_bytes == 2 ? bits_float(stored::bf16_at_least(scale)) : scale;
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
GR_DEVICE float scale_error(const Row& row, const float* error_weights, int from, int to, float scale,
                            const Tile& tile) {
    const float inverse = 1 / scale;
    const int max = stored::max_integer(row.stored.bits);
    const int center = static_cast<int>(float_bits(ROUNDING));
    float sum = 0;
    for (int first = from; first < to; first += TILE) {
        const int count = min(TILE, to - first);
        for (int j = lane(); j < (count + 3) / 4 * 4; j += 32) {
            const bool inside = j < count;
            tile.numbers[j] = inside ? row.x[first + j] : 0.0f;
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
GR_DEVICE float least_error_scale(const GrEncodeParams& p, const Row& row, int from, int to, const Tile& tile) {
    float largest = 0;
    for (int j = from + lane(); j < to; j += 32) {
        largest = fmaxf(largest, fabsf(row.x[j]));
    }
    largest = warp_max(largest);
    const float scale = candidate(row.stored, p.log8, p.fine, largest);
    double error = static_cast<double>(scale) * scale * scale_error(row, p.error_weights, from, to, scale, tile);
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

// Eight numbers from j on, or as many as the row has, to a stream of bits.
GR_DEVICE uint64_t pack_integers(const Row& row, int j) {
    const GrStored& stored = row.stored;
    const int max = stored::max_integer(stored.bits);
    const int zero = stored.bits == 8 ? 0 : 1 << (stored.bits - 1);
    uint64_t stream = 0;
    float inverse = 0;
    int end = 0;  // of the block of numbers whose scale is at hand
    for (int i = 0; i < 8; i++) {
        int integer = 0;
        if (j + i < stored.width) {
            if (i == 0 || j + i == end) {
                const int block = (j + i) / stored.block;
                const float scale = scale_of(stored, row.log8, row.first_scale + block);
                inverse = scale == 0 ? 0 : 1 / scale;
                end = (block + 1) * stored.block;
            }
            const float value = rintf(multiply(row.x[j + i], inverse));
            const float limit = static_cast<float>(max);
            integer = value == value ? static_cast<int>(fmaxf(-limit, fminf(limit, value))) : 0;
        } else if (stored.bits != 4) {
            break;
        }
        const unsigned mask = (1u << stored.bits) - 1;
        stream |= static_cast<uint64_t>(static_cast<unsigned>(integer + zero) & mask) << (stored.bits * i);
    }
    return stream;
}

GR_DEVICE void store_integers(const Row& row) {
    const int bits = row.stored.bits;
    for (int j = 8 * lane(); j < row.stored.width; j += 8 * 32) {
        const uint64_t stream = pack_integers(row, j);
        const int from = j / 8 * bits;
        const int bytes = min(bits, row.stored.row_bytes - from);
        uint8_t* to = row.codes + from;
        if (bytes == 8 && reinterpret_cast<uintptr_t>(to) % 8 == 0) {
            *reinterpret_cast<uint64_t*>(to) = stream;
        } else if (bytes == 4 && reinterpret_cast<uintptr_t>(to) % 4 == 0) {
            *reinterpret_cast<uint32_t*>(to) = static_cast<uint32_t>(stream);
        } else {
            for (int b = 0; b < bytes; b++) {
                to[b] = static_cast<uint8_t>(stream >> (8 * b));
            }
        }
    }
}

// Number j of a row as a reader sees it.
GR_DEVICE float decode(const GrStored& stored, const uint8_t* codes, const float* log8, int64_t first_scale, int j) {
    const float number = stored::number(codes, stored.bits, j);
    if (stored.scale_bytes == 0) {
        return number;
    }
    const int block = stored.scales_per_row == 1 ? 0 : j / stored.block;
    return number * scale_of(stored, log8, first_scale + block);
}

}  // namespace

// Bytes a row: 4 width read (again from a cache), its stored bytes written. Operations: 9 instructions a number, 32
// scales at a time.
GR_KERNEL(gr_encode, GrEncodeParams, 128) {
    GR_SHARED(float, numbers, WARPS * TILE);
    GR_SHARED(float, weights, WARPS * TILE);
    const int index = warp_in_grid();
    if (index >= p.count) {
        return;
    }
    // A copy: through a reference every store to the codes would make the compiler read it anew.
    const GrStored stored = group_of(p.groups, p.group_count, index);
    const Numbers x = {p.values + static_cast<int64_t>(index) * p.width, p.factors};
    const int64_t place = index - stored.first;
    uint8_t* codes = stored.codes + place * stored.row_bytes;
    const Row row = {stored, p.log8, x, codes, place * stored.scales_per_row};
    if (stored.bits == 32) {
        for (int j = lane(); j < stored.width; j += 32) {
            reinterpret_cast<float*>(codes)[j] = x[j];
        }
        return;
    }
    if (stored.bits == 16) {
        for (int j = lane(); j < stored.width; j += 32) {
            reinterpret_cast<unsigned short*>(codes)[j] = to_bf16(x[j]);
        }
        return;
    }
    const Tile tile = {numbers + warp() * TILE, weights + warp() * TILE};
    for (int s = 0; s < stored.scales_per_row; s++) {
        const int from = s * stored.block;
        const int to = min(stored.width, from + stored.block);
        const float scale = least_error_scale(p, row, from, to, tile);
        if (lane() == 0) {
            stored::store_scale(stored.scales, stored.scale_bytes, row.first_scale + s, scale, p.log8);
        }
    }
    sync_warp();
    store_integers(row);
}

// Bytes a row: its stored bytes read, 4 width written.
GR_KERNEL(gr_decode, GrDecodeParams, 256) {
    const int index = warp_in_grid();
    if (index >= p.count) {
        return;
    }
    const GrStored stored = group_of(p.groups, p.group_count, index);
    const int64_t place = index - stored.first;
    const uint8_t* codes = stored.codes + place * stored.row_bytes;
    const int64_t first_scale = place * stored.scales_per_row;
    float* values = p.values + static_cast<int64_t>(index) * p.width;
    for (int j = lane(); j < p.width; j += 32) {
        values[j] = j < stored.width ? decode(stored, codes, p.log8, first_scale, j) : 0.0f;
    }
}

}  // namespace gr::encode
