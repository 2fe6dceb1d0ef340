// Products of bytes, asynchronous copies and the approximate exponential of the emulator, and packed codes as operands
// of such a product.
#include <string.h>

#include <vector>

#include "../kernels/softmax_codes.h"
#include "packed_codes.h"
#include "stored_case.h"

using gr::emulator::launch;
using gr::test::Random;

struct BytesParams {
    int inner;         // 32 or 16
    const uint8_t* a;  // [16][inner]
    const int8_t* b;   // [inner][8]
    int* d;            // [16][8], added to
};

GR_KERNEL(gr_test_bytes, BytesParams, 32) {
    const int g = static_cast<int>(threadIdx.x) / 4, t = static_cast<int>(threadIdx.x) % 4;
    const auto left = [&](int row, int k) {
        unsigned word;
        memcpy(&word, p.a + row * p.inner + k, 4);
        return word;
    };
    const auto right = [&](int k) {
        unsigned word = 0;
        for (int i = 0; i < 4; i++) {
            word |= static_cast<unsigned>(static_cast<uint8_t>(p.b[(k + i) * 8 + g])) << 8 * i;
        }
        return word;
    };
    int d[4];
    for (int i = 0; i < 4; i++) {
        d[i] = p.d[(g + i / 2 * 8) * 8 + 2 * t + i % 2];
    }
    if (p.inner == 32) {
        gr::mma_u8s8(d, {left(g, 4 * t), left(g + 8, 4 * t), left(g, 4 * t + 16), left(g + 8, 4 * t + 16)},
                     right(4 * t), right(4 * t + 16));
    } else {
        gr::mma_u8s8_half(d, left(g, 4 * t), left(g + 8, 4 * t), right(4 * t));
    }
    for (int i = 0; i < 4; i++) {
        p.d[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = d[i];
    }
}

static void products_of_bytes() {
    Random random(1);
    for (int round = 0; round < 20; round++) {
        const int inner = round % 2 == 0 ? 32 : 16;
        uint8_t a[16 * 32];
        int8_t b[32 * 8];
        int d[16 * 8], wanted[16 * 8];
        for (uint8_t& x : a) x = static_cast<uint8_t>(random.below(256));
        for (int8_t& x : b) x = static_cast<int8_t>(random.below(256));
        for (int at = 0; at < 16 * 8; at++) {
            d[at] = static_cast<int>(random.bits());
            unsigned sum = static_cast<unsigned>(d[at]);  // wraps
            for (int k = 0; k < inner; k++) {
                sum += static_cast<unsigned>(a[at / 8 * inner + k] * b[k * 8 + at % 8]);
            }
            wanted[at] = static_cast<int>(sum);
        }
        launch("gr_test_bytes", 1, 1, 32, 0, BytesParams{inner, a, b, d});
        for (int at = 0; at < 16 * 8; at++) {
            GR_CHECK(d[at] == wanted[at], "inner %d, D[%d][%d]: %d, not %d", inner, at / 8, at % 8, d[at], wanted[at]);
        }
    }
}

struct CopyParams {
    const unsigned* from;  // [3][32][4]
    unsigned* seen;        // [blocks][3][32]: after one wait, then after all
    int waits;             // 0: nobody waits
};

// Two groups of copies and one that is not committed; a lane sees what its neighbour brought.
GR_KERNEL(gr_test_copies, CopyParams, 32) {
    GR_SHARED(uint4, places, 3 * 32);
    const int lane = static_cast<int>(threadIdx.x), next = (lane + 1) % 32;
    for (int group = 0; group < 3; group++) {
        gr::copy_async16(&places[group * 32 + lane], p.from + (group * 32 + lane) * 4);
        if (group < 2) {
            gr::commit_copies();
        }
    }
    if (p.waits != 0) {
        gr::wait_copies<1>();
    }
    gr::sync_warp();
    p.seen[(blockIdx.x * 3) * 32 + threadIdx.x] = places[next].w;
    p.seen[(blockIdx.x * 3 + 1) * 32 + threadIdx.x] = places[32 + next].w;
    gr::commit_copies();
    if (p.waits != 0) {
        gr::wait_copies<0>();
    }
    gr::sync_warp();
    p.seen[(blockIdx.x * 3 + 2) * 32 + threadIdx.x] = places[64 + next].w;
}

static void copies() {
    alignas(16) unsigned from[3 * 32 * 4];
    for (unsigned i = 0; i < 3 * 32 * 4; i++) {
        from[i] = i;
    }
    for (const int waits : {1, 0}) {
        std::vector<unsigned> seen(2 * 3 * 32);
        launch("gr_test_copies", 2, 1, 32, 0, CopyParams{from, seen.data(), waits});
        bool late = false;
        for (unsigned block = 0; block < 2; block++) {
            bool missing = false;
            for (unsigned lane = 0; lane < 32; lane++) {
                const unsigned next = (lane + 1) % 32;
                const unsigned* of_block = seen.data() + block * 3 * 32 + lane;
                missing |= of_block[0] != next * 4 + 3 || of_block[64] != (64 + next) * 4 + 3;
                late |= of_block[32] != (32 + next) * 4 + 3;
            }
            GR_CHECK(!missing || waits == 0, "what was waited for has come");
        }
        GR_CHECK(late, "in one of two blocks nothing comes before it is waited for");
    }
}

struct ExponentialParams {
    const float* x;
    float* y;
};

GR_KERNEL(gr_test_exp2, ExponentialParams, 256) { p.y[threadIdx.x] = gr::exp2_approx(p.x[threadIdx.x]); }

static void exponentials() {
    Random random(2);
    float x[256], y[256];
    for (float& number : x) {
        number = 60 * random.gaussian();
    }
    const float special[] = {0, -3, 127, 128, INFINITY, -INFINITY, NAN, -126.5f, 1e-40f};
    memcpy(x, special, sizeof special);
    launch("gr_test_exp2", 1, 1, 256, 0, ExponentialParams{x, y});
    for (int i = 9; i < 256; i++) {
        const double exact = exp2(static_cast<double>(x[i]));
        const bool beyond = exact >= 0x1p128 || exact < 0x1p-126;
        GR_CHECK(beyond || fabs(y[i] - exact) <= 0x1p-22 * exact, "2^%a is not %a", x[i], y[i]);
    }
    GR_CHECK(y[0] == 1 && y[1] == 0.125f && y[2] == 0x1p127f && isinf(y[3]) && isinf(y[4]) && y[5] == 0 && isnan(y[6]));
    GR_CHECK(y[7] == 0 && y[8] == 1, "subnormal numbers are 0");
}

// The words of a block as softmax.h says, code by code.
static void put(std::vector<unsigned>& words, int bits, bool half, int lane, int pair, bool upper, int byte,
                unsigned code) {
    for (int n = 0; n < bits; n++) {
        const gr::test::PackedBit place = gr::test::packed_bit(bits, half, pair, upper, byte, n);
        words[lane * (half ? bits / 2 : bits) + place.word] |= (code >> n & 1) << place.bit;
    }
}

template <int Bits>
static void codes_of_a_block() {
    Random random(3);
    std::vector<unsigned> codes(32 * 32), words(32 * Bits, 0), halves(32 * Bits / 2 + 1, 0);
    for (int row = 0; row < 32; row++) {
        for (int k = 0; k < 32; k++) {
            const unsigned code = codes[row * 32 + k] = random.below(1u << Bits);
            const int lane = row % 8 * 4 + k % 16 / 4;
            put(words, Bits, false, lane, row / 8, k >= 16, k % 4, code);
            if (k < 16 && (Bits == 2 || Bits == 4 || Bits == 8)) {
                put(halves, Bits, true, lane, row / 8, false, k % 4, code);
            }
        }
    }
    const int shift = gr::softmax::upper_shift(Bits);
    for (int lane = 0; lane < 32; lane++) {
        unsigned word[Bits], a[2][4], half[Bits / 2 + 1], b[2][2] = {};
        memcpy(word, words.data() + lane * Bits, sizeof word);
        gr::softmax::decode_block<Bits>(word, a);
        constexpr int HALF = Bits == 2 || Bits == 4 ? Bits : 8;
        unsigned of_half[HALF / 2] = {};
        memcpy(half, halves.data() + lane * (Bits / 2), Bits / 2 * 4);
        for (int i = 0; i < Bits / 2; i++) {
            of_half[i % (HALF / 2)] = half[i];
        }
        gr::softmax::decode_half<HALF>(of_half, b);
        for (int i = 0; i < 32; i++) {
            const int pair = i / 8, byte = i % 4, upper = i / 4 % 2;
            const unsigned wanted = codes[(8 * pair + lane / 4) * 32 + 16 * upper + 4 * (lane % 4) + byte];
            const unsigned found = a[pair / 2][pair % 2 + 2 * upper] >> 8 * byte & 0xff;
            GR_CHECK(found == wanted << (upper ? shift : 0), "%d bits, lane %d, pair %d: %u, not %u", Bits, lane, pair,
                     found, wanted);
            if (!upper && HALF == Bits) {
                GR_CHECK((b[pair / 2][pair % 2] >> 8 * byte & 0xff) == wanted, "half of %d bits, lane %d", Bits, lane);
            }
        }
    }
}

// A code and what its direction says make the value.
static void directions() {
    using gr::test::falling;
    for (const gr::test::Widths& widths : {falling(8, 100), falling(3, 49), gr::test::constant(7, 20)}) {
        const GrRowForm form = gr::test::row_form(widths, 32, 0);
        for (int j = 0; j < form.width + 20; j++) {
            const gr::softmax::Direction direction = gr::softmax::direction_of(form, j);
            GR_CHECK(j < form.width || direction.factor == 0);
            for (int code = 0; j < form.width && code < 1 << widths[j]; code++) {
                const int width = gr::softmax::block_bits(form, j);
                GR_CHECK(width >= widths[j]);
                const int shifted = code << (j % 32 >= 16 ? gr::softmax::upper_shift(width) : 0);
                const double value = direction.factor * (shifted - direction.twice_offset / 2.0);
                GR_CHECK(shifted < 256 && value == gr::test::plain_value(widths[j], code), "%d bits of %d, code %d: %g",
                         widths[j], width, code, value);
            }
        }
    }
}

static void digits() {
    Random random(4);
    for (int i = 0; i < 10000; i++) {
        const double size = 127 * 0x1p24;
        const int number = static_cast<int>(i == 0 ? size - 1 : i == 1 ? -size : size * random.uniform());
        const gr::softmax::Digits made = gr::softmax::digits_of(number);
        int64_t sum = 0;
        int offset[4];
        int64_t half = 0;
        for (const int8_t digit : made.digit) {
            sum = 256 * sum + digit;
        }
        GR_CHECK(sum == number, "%d became %lld", number, static_cast<long long>(sum));
        const int twice_offset = static_cast<int>(random.below(257));
        gr::softmax::offsets_of(made, twice_offset, offset);
        for (const int part : offset) {
            half = 256 * half + part;
        }
        const int64_t lost = sum * twice_offset - 2 * half;
        GR_CHECK(lost == 0 || lost == 1, "half of %lld x %d is not %lld", static_cast<long long>(sum), twice_offset,
                 static_cast<long long>(half));
        // The largest number just fits.
        const float largest = gr::bits_float(0x04000000u + random.below(0x7b000000u));
        const gr::softmax::Unit unit = gr::softmax::unit_of(gr::float_bits(largest));
        const double scaled = static_cast<double>(largest) * unit.first * unit.up;
        GR_CHECK(scaled < 127 * 0x1p24 && scaled >= 63.5 * 0x1p24 &&
                     static_cast<double>(unit.first) * unit.up * unit.down == 1,
                 "%a became %a", static_cast<double>(largest), scaled);
    }
    GR_CHECK(isnan(gr::softmax::unit_of(0x7f800000u).down), "infinite numbers make no sum");
    const gr::softmax::Unit least = gr::softmax::unit_of(0);
    GR_CHECK(least.down > 0 && least.up < INFINITY && static_cast<double>(least.first) * least.up * least.down == 1);
}

int main() {
    products_of_bytes();
    copies();
    exponentials();
    codes_of_a_block<1>();
    codes_of_a_block<2>();
    codes_of_a_block<3>();
    codes_of_a_block<4>();
    codes_of_a_block<5>();
    codes_of_a_block<6>();
    codes_of_a_block<8>();
    directions();
    digits();
    return 0;
}
