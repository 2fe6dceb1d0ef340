// Numbers of the softmax kernels: noise, keys, and numbers as terms for the tensor cores.
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

GR_DEVICE unsigned magnitude_bits(float x) { return float_bits(x) & 0x7fffffffu; }

}  // namespace gr::softmax
