// Numbers of the softmax kernels: noise, scales, and stored codes as operands of the tensor cores.
#pragma once

#include "groupreduce/softmax.h"
#include "logit_keys.h"
#include "softmax_codes.h"

namespace gr::softmax {

constexpr unsigned NO_TOKEN = 0xffffffffu;
constexpr float LOG2_E = 1.44269504f;
constexpr float LN_2 = 0.693147181f;

GR_DEVICE float negative_infinity() { return bits_float(0xff800000u); }

// io.groupreduce.internal.select.GumbelNoise.hash
GR_DEVICE unsigned noise_hash(Key key, unsigned token) {
    unsigned x = token * 0x9E3779B1u + static_cast<unsigned>(key);
    x = (x ^ x >> 16) * 0x85EBCA6Bu;
    x = (x ^ x >> 13) * 0xC2B2AE35u + static_cast<unsigned>(key >> 32);
    x = (x ^ x >> 16) * 0x7FEB352Du;
    x = (x ^ x >> 15) * 0x846CA68Bu;
    return x ^ x >> 16;
}

// io.groupreduce.internal.select.GumbelNoise.of: -log(-log u) with u = (hash + 1/2) / 2^32
GR_DEVICE double noise_of(unsigned hash) { return -log(-log((static_cast<double>(hash) + 0.5) * 0x1p-32)); }

// Hardly below noise_of, by rounding only, and at most w / 2 above where w = 1 - u is small: -log(-log(1 - w)) <= -log
// w.
GR_DEVICE float noise_bound(unsigned hash) { return -LN_2 * log2f((static_cast<float>(~hash) + 0.5f) * 0x1p-32f); }

// cap * tanh(y / cap); what has left binary32 stays outside.
GR_DEVICE float capped(float y, float cap) { return y - y == 0 ? cap * tanhf(y / cap) : y; }

// Of a question's logit of a token: none of -infinity.
GR_DEVICE Key open_key(float logit, unsigned token) {
    return token == NO_TOKEN || logit == negative_infinity() ? 0 : logit_key(logit, token);
}

GR_DEVICE float best_logit(Key best) { return best == 0 ? negative_infinity() : key_logit(best); }

// Whether a token is open; null: all are.
GR_DEVICE bool is_open(const uint32_t* open, unsigned token) {
    return open == nullptr || (open[token / 32] >> token % 32 & 1) != 0;
}

// The upper halves of two numbers, cut, as a pair.
GR_DEVICE unsigned cut_pair(float low, float high) { return byte_permute(float_bits(low), float_bits(high), 0x7632); }

GR_DEVICE float cut(float x) { return bits_float(float_bits(x) & 0xffff0000u); }

// Four numbers, or the pairs (0, 1) and (2, 3) of them, in bfloat16 as high + mid + low: 8 bits each, so that nothing
// is lost. Cutting never rounds to infinity.
struct Terms {
    uint2 high, mid, low;
};

GR_DEVICE Terms split(const float (&x)[4]) {
    Terms terms;
    terms.high = make_uint2(cut_pair(x[0], x[1]), cut_pair(x[2], x[3]));
    float rest[4];
    GR_UNROLL
    for (int i = 0; i < 4; i++) {
        rest[i] = x[i] - cut(x[i]);
    }
    terms.mid = make_uint2(cut_pair(rest[0], rest[1]), cut_pair(rest[2], rest[3]));
    GR_UNROLL
    for (int i = 0; i < 4; i++) {
        rest[i] -= cut(rest[i]);
    }
    terms.low = make_uint2(pack_bf16(rest[0], rest[1]), pack_bf16(rest[2], rest[3]));
    return terms;
}

// Numbers that multiply integers, in units of a power of two in which the largest of their 32 is 2^14 to 2^15: high +
// low in binary16, 11 bits each. What is lost is at most 2^-22 of a number or 2^-39 of the largest: a number 2^20 times
// smaller than the largest has lost bits that binary32 would keep, which shows where codes of the large ones are 0.
struct Halves {
    uint2 high, low;
};

// The powers of two for the largest of 32 numbers, by its bits: numbers are multiplied by `up`, sums by `down`.
// Neither is 0 or infinite.
struct HalfScale {
    float up, down;
};

GR_DEVICE unsigned magnitude_bits(float x) { return float_bits(x) & 0x7fffffffu; }

GR_DEVICE HalfScale half_scale(unsigned largest_bits) {
    const unsigned exponent = max(largest_bits >> 23, 15u);
    return {bits_float((268 - exponent) << 23), bits_float((exponent - 14) << 23)};
}

GR_DEVICE Halves split(const float (&x)[4], float up) {
    float y[4];
    GR_UNROLL
    for (int i = 0; i < 4; i++) {
        y[i] = x[i] * up;
    }
    Halves halves;
    halves.high = make_uint2(pack_f16(y[0], y[1]), pack_f16(y[2], y[3]));
    halves.low = make_uint2(pack_f16(y[0] - low_f16(halves.high.x), y[1] - high_f16(halves.high.x)),
                            pack_f16(y[2] - low_f16(halves.high.y), y[3] - high_f16(halves.high.y)));
    return halves;
}

// Two signed bytes, their sign bits flipped, as binary16: 0x6400 with a byte is 1,024 + it, and it is the number + 128.
GR_DEVICE unsigned pair_of_int8(unsigned flipped, unsigned selector) {
    return sub_f16x2(byte_permute(flipped, 0x64006400u, selector), 0x64806480u);
}

// Eight bytes of a tile as the operand A of an mma.
GR_DEVICE void decode_int8(unsigned first, unsigned second, unsigned (&a)[4]) {
    first ^= 0x80808080u;
    second ^= 0x80808080u;
    a[0] = pair_of_int8(first, 0x5150);
    a[1] = pair_of_int8(first, 0x5352);
    a[2] = pair_of_int8(second, 0x5150);
    a[3] = pair_of_int8(second, 0x5352);
}

// Which of a slice's numbers (see softmax.h) lies at a row of a strip and a column of the slice.
struct PackedPlace {
    int tile, lane, number;
};

GR_DEVICE PackedPlace packed_place(int row, int column) {
    PackedPlace place;
    place.tile = row >> 4 & 1;
    place.lane = (row & 7) * 4 + (column >> 1 & 3);
    place.number = (column >> 3 & 1) * 4 + (row >> 3 & 1) * 2 + (column & 1);
    return place;
}

// A number of a packed matrix, before its scale.
GR_DEVICE float packed_number(const GrPacked& matrix, int row, int column) {
    const PackedPlace place = packed_place(row, column);
    const int slice = column >> 4;
    const uint8_t* strip = matrix.codes + static_cast<int64_t>(row / STRIP) * matrix.strip_bytes;
    switch (matrix.codec) {
        case GR_F32: {
            const uint8_t* piece = strip + slice * 2048 + (2 * place.tile + (place.number >> 2)) * 512;
            return reinterpret_cast<const float*>(piece + place.lane * 16)[place.number & 3];
        }
        case GR_BF16: {
            const uint8_t* piece = strip + slice * 1024 + place.tile * 512;
            return from_bf16(reinterpret_cast<const unsigned short*>(piece + place.lane * 16)[place.number]);
        }
        default:
            return static_cast<int8_t>(strip[slice * 512 + place.lane * 16 + place.tile * 8 + place.number]);
    }
}

// A number of a packed matrix.
GR_DEVICE float scaled_number(const GrPacked& matrix, int row, int column, const float* log8) {
    const float number = packed_number(matrix, row, column);
    if (matrix.scales == nullptr) {
        return number;
    }
    const int block = matrix.scales_per_row > 1 ? column / 32 : 0;
    const int64_t index = static_cast<int64_t>(row) * matrix.scales_per_row + block;
    return number * stored::scale(matrix.scales, matrix.scale_bytes, index, log8);
}

}  // namespace gr::softmax
