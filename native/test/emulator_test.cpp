// The emulator itself: every name of groupreduce/device.h does what the GPU's does, and mistakes in kernels end a
// launch.
#include <string.h>

#include <vector>

#include "check.h"
#include "fault.h"
#include "groupreduce/device.h"

using gr::emulator::launch;
using gr::test::Random;

struct WarpParams {
    unsigned long long* sum;  // [threads]
    float* shuffled;          // [threads][2]
    unsigned* votes;          // [threads]
};

GR_KERNEL(gr_test_warp, WarpParams, 64) {
    const unsigned t = threadIdx.x;
    unsigned long long sum = 1ull << t % 32 << 20;
    for (int mask = 16; mask > 0; mask /= 2) {
        sum += gr::shuffle_xor(sum, mask);
    }
    p.sum[t] = sum;
    p.shuffled[2 * t] = gr::shuffle(static_cast<float>(t), 37);
    p.shuffled[2 * t + 1] = gr::shuffle(static_cast<float>(t), static_cast<int>(31 - t % 32));
    p.votes[t] = gr::ballot(t % 3 == 0);
}

static void warps() {
    unsigned long long sum[64];
    float shuffled[64][2];
    unsigned votes[64];
    launch("gr_test_warp", 1, 1, 64, 0, WarpParams{sum, shuffled[0], votes});
    for (int t = 0; t < 64; t++) {
        const int base = t / 32 * 32;
        unsigned vote = 0;
        for (int lane = 0; lane < 32; lane++) {
            vote |= ((base + lane) % 3 == 0 ? 1u : 0u) << lane;
        }
        GR_CHECK(sum[t] == 0xffffffffull << 20, "thread %d: %llx", t, sum[t]);
        GR_CHECK(shuffled[t][0] == static_cast<float>(base + 5), "thread %d", t);
        GR_CHECK(shuffled[t][1] == static_cast<float>(base + 31 - t % 32), "thread %d", t);
        GR_CHECK(votes[t] == vote, "thread %d: %x", t, votes[t]);
    }
}

struct BlockParams {
    int n;
    int* out;  // [grid.y][grid.x][n]
    int* total;
    unsigned long long* most;
};

// Prefix sums in shared memory; threads beyond n leave at once.
GR_KERNEL(gr_test_block, BlockParams, 256) {
    GR_SHARED(int, a, 256);
    GR_DYNAMIC_SHARED(int, b);
    const int t = static_cast<int>(threadIdx.x);
    if (t >= p.n) {
        return;
    }
    int* from = a;
    int* to = b;
    from[t] = t + static_cast<int>(blockIdx.x);
    for (int step = 1; step < p.n; step *= 2) {
        gr::sync_block();
        to[t] = from[t] + (t >= step ? from[t - step] : 0);
        int* swap = from;
        from = to;
        to = swap;
    }
    const int block = static_cast<int>(blockIdx.y * gridDim.x + blockIdx.x);
    p.out[block * p.n + t] = from[t];
    gr::atomic_add(p.total, 1);
    gr::atomic_max(p.most, static_cast<unsigned long long>(from[t]));
}

static void blocks() {
    for (const int n : {1, 31, 32, 100, 256}) {
        std::vector<int> out(6 * n);
        int total = 0;
        unsigned long long most = 0;
        launch("gr_test_block", 3, 2, 256, 256 * sizeof(int), BlockParams{n, out.data(), &total, &most});
        for (int block = 0; block < 6; block++) {
            for (int t = 0; t < n; t++) {
                GR_CHECK(out[block * n + t] == t * (t + 1) / 2 + (t + 1) * (block % 3), "n %d, block %d, thread %d", n,
                         block, t);
            }
        }
        GR_CHECK(total == 6 * n);
        GR_CHECK(most == static_cast<unsigned long long>(n * (n - 1) / 2 + 2 * n));
    }
}

struct MmaParams {
    bool halves;              // binary16, else bf16
    const unsigned short* a;  // [16][16]
    const unsigned short* b;  // [16][8]
    float* d;                 // [16][8], added to
};

GR_KERNEL(gr_test_mma, MmaParams, 32) {
    const int g = static_cast<int>(threadIdx.x) / 4, t = static_cast<int>(threadIdx.x) % 4;
    const auto left = [&](int row, int k) {
        return static_cast<unsigned>(p.a[row * 16 + k]) | static_cast<unsigned>(p.a[row * 16 + k + 1]) << 16;
    };
    const auto right = [&](int k) {
        return static_cast<unsigned>(p.b[k * 8 + g]) | static_cast<unsigned>(p.b[(k + 1) * 8 + g]) << 16;
    };
    const unsigned a[4] = {left(g, 2 * t), left(g + 8, 2 * t), left(g, 2 * t + 8), left(g + 8, 2 * t + 8)};
    float d[4];
    for (int i = 0; i < 4; i++) {
        d[i] = p.d[(g + i / 2 * 8) * 8 + 2 * t + i % 2];
    }
    if (p.halves) {
        gr::mma_f16(d, a, right(2 * t), right(2 * t + 8));
    } else {
        gr::mma_bf16(d, a, right(2 * t), right(2 * t + 8));
    }
    for (int i = 0; i < 4; i++) {
        p.d[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = d[i];
    }
}

static unsigned short to_bits(bool halves, float x) {
    return static_cast<unsigned short>(halves ? gr::pack_f16(x, 0) : gr::pack_bf16(x, 0));
}

static float to_number(bool halves, unsigned short bits) { return halves ? gr::low_f16(bits) : gr::from_bf16(bits); }

static void matrix_product() {
    Random random(3);
    for (int round = 0; round < 40; round++) {
        const bool halves = round % 2 == 0;
        unsigned short a[16][16], b[16][8];
        float d[16][8];
        double expected[16][8], magnitude[16][8];
        for (auto& row : a) {
            for (auto& x : row) x = to_bits(halves, random.gaussian());
        }
        for (auto& row : b) {
            for (auto& x : row) x = to_bits(halves, random.gaussian());
        }
        for (int m = 0; m < 16; m++) {
            for (int n = 0; n < 8; n++) {
                d[m][n] = random.gaussian();
                expected[m][n] = d[m][n];
                magnitude[m][n] = fabs(d[m][n]);
                for (int k = 0; k < 16; k++) {
                    const double product = static_cast<double>(to_number(halves, a[m][k])) * to_number(halves, b[k][n]);
                    expected[m][n] += product;
                    magnitude[m][n] += fabs(product);
                }
            }
        }
        launch("gr_test_mma", 1, 1, 32, 0, MmaParams{halves, a[0], b[0], d[0]});
        for (int m = 0; m < 16; m++) {
            for (int n = 0; n < 8; n++) {
                GR_CHECK(fabs(d[m][n] - expected[m][n]) <= 16 * 0x1p-24 * magnitude[m][n], "D[%d][%d] %g, not %g", m, n,
                         d[m][n], expected[m][n]);
            }
        }
    }
}

// The bf16 next to x, ties to the one with an even last bit: by trying both neighbours.
static unsigned short nearest_bf16(double x) {
    unsigned short below = static_cast<unsigned short>(gr::float_bits(static_cast<float>(x)) >> 16);
    while (fabs(static_cast<double>(gr::from_bf16(below))) > fabs(x)) {
        below--;
    }
    const unsigned short above = static_cast<unsigned short>(below + 1);
    const double down = fabs(x - gr::from_bf16(below)), up = fabs(gr::from_bf16(above) - x);
    return down < up || (down == up && below % 2 == 0) ? below : above;
}

static void numbers() {
    Random random(4);
    for (int i = 0; i < 100000; i++) {
        const unsigned scale = 1 + random.below(250);
        const float x = gr::bits_float((random.below(2) << 31 | scale << 23) + random.below(1u << 23));
        const unsigned short rounded = gr::to_bf16(x);
        GR_CHECK(rounded == nearest_bf16(x), "%a became %04x", x, rounded);
    }
    GR_CHECK(gr::to_bf16(1 + 0x1p-8f) == 0x3f80 && gr::to_bf16(1 + 0x1p-7f + 0x1p-8f) == 0x3f82, "ties go to even");
    GR_CHECK(gr::to_bf16(-0.0f) == 0x8000 && gr::to_bf16(INFINITY) == 0x7f80 && isnan(gr::from_bf16(gr::to_bf16(NAN))));
    GR_CHECK(gr::pack_bf16(1, -2) == 0xc0003f80u);
    GR_CHECK(gr::byte_permute(0x33221100u, 0x77665544u, 0x7250u) == 0x77225500u);
    GR_CHECK(gr::byte_permute(0x00800000u, 0, 0x4a40u) == 0x00ff0000u, "bit 3 of a selector repeats the sign");
    GR_CHECK(gr::leading_zeros(1) == 31 && gr::leading_zeros(0) == 32);
    GR_CHECK(gr::fma(1 + 0x1p-23f, 1 - 0x1p-23f, -1.0f) == -0x1p-46f, "one rounding");
    GR_CHECK(gr::min(2, 3) == 2 && gr::max(2.5f, -1.0f) == 2.5f);
}

// A finite binary16, by the words of IEEE 754.
static double half_number(unsigned bits) {
    const int exponent = bits >> 10 & 31;
    const double size = ldexp((bits & 1023) + (exponent == 0 ? 0 : 1024), exponent == 0 ? -24 : exponent - 25);
    return bits & 0x8000 ? -size : size;
}

// The binary16 next to a number that is not negative: by trying both neighbours.
static unsigned nearest_half(double x) {
    unsigned below = 0, above = 0x7c00;
    while (above - below > 1) {
        const unsigned middle = (below + above) / 2;
        (half_number(middle) <= x ? below : above) = middle;
    }
    // What would come after the largest is 65,536, and stands for infinity.
    const double down = x - half_number(below), up = (above == 0x7c00 ? 65536 : half_number(above)) - x;
    return down < up || (down == up && below % 2 == 0) ? below : above;
}

static void halves() {
    for (unsigned bits = 0; bits < 0x7c00; bits++) {
        const float x = gr::low_f16(bits);
        GR_CHECK(x == half_number(bits) && gr::high_f16(bits << 16 | 0x8000u << 16) == -x, "%04x is not %a", bits, x);
        GR_CHECK(gr::pack_f16(x, -x) == (bits | (bits | 0x8000u) << 16), "%a", x);
    }
    Random random(6);
    for (int i = 0; i < 100000; i++) {
        const float x = gr::bits_float((127 - 26 + random.below(43)) << 23 | random.below(1u << 23));
        GR_CHECK(gr::pack_f16(x, -x) == nearest_half(x) * 0x10001u + 0x80000000u, "%a became %08x", x,
                 gr::pack_f16(x, -x));
        const unsigned a = random.below(0x7c00), b = random.below(0x7c00);
        const unsigned high = gr::max(a, b), low = gr::min(a, b);
        GR_CHECK(gr::sub_f16x2(high << 16, low << 16) >> 16 == nearest_half(half_number(high) - half_number(low)));
    }
    GR_CHECK(gr::pack_f16(65519, 65520) == 0x7c007bffu && gr::pack_f16(-INFINITY, 0) == 0xfc00u);
    GR_CHECK(isnan(gr::low_f16(gr::pack_f16(NAN, 0))) && isinf(gr::high_f16(0x7c000000u)));
}

struct FreshParams {
    unsigned* seen;  // [blocks][2]
};

GR_KERNEL(gr_test_fresh, FreshParams, 32) {
    GR_SHARED(unsigned, fixed, 32);
    GR_DYNAMIC_SHARED(unsigned, dynamic);
    if (threadIdx.x == 0) {
        p.seen[2 * blockIdx.x] = fixed[7];
        p.seen[2 * blockIdx.x + 1] = dynamic[7];
    }
    gr::sync_warp();
    fixed[threadIdx.x] = dynamic[threadIdx.x] = 1;
}

static void fresh_shared_memory() {
    unsigned seen[2][2];
    launch("gr_test_fresh", 2, 1, 32, 128, FreshParams{seen[0]});
    for (const auto& block : seen) {
        GR_CHECK(block[0] == 0xffffffffu && block[1] == 0xffffffffu, "what a block left is not there for the next");
    }
}

enum Mistake {
    BARRIER_MISSED,
    SHUFFLE_MISSED,
    MIXED,
    LANE_GONE,
    RETURNED,
    BARRIER_IN_WARP,
    OVERRUN,
    OVERRUN_DYNAMIC,
    STACK,
    UNALIGNED
};

struct MistakeParams {
    int mistake;
    const float* memory;
};

static int use_stack(int depth) {
    volatile char frame[1024];
    for (volatile char& c : frame) {
        c = 1;
    }
    return depth == 0 ? 0 : use_stack(depth - 1) + frame[depth % 1024];
}

GR_KERNEL(gr_test_mistake, MistakeParams, 64) {
    GR_SHARED(int, fixed, 8);
    GR_DYNAMIC_SHARED(int, dynamic);
    const int t = static_cast<int>(threadIdx.x);
    if (p.mistake == BARRIER_MISSED && t == 40) {
        gr::sync_warp();
    } else if (p.mistake == BARRIER_MISSED) {
        gr::sync_block();
    } else if (p.mistake == SHUFFLE_MISSED && t != 3) {
        gr::shuffle(t, 0);
    } else if (p.mistake == MIXED) {
        t % 2 == 0 ? gr::sync_warp() : static_cast<void>(gr::ballot(true));
    } else if (p.mistake == LANE_GONE && t > 0) {
        gr::sync_block();
        gr::sync_warp();
    } else if (p.mistake == RETURNED && t > 0) {
        gr::sync_warp();
    } else if (p.mistake == BARRIER_IN_WARP) {
        t < 7 ? gr::sync_block() : gr::sync_warp();
    } else if (p.mistake == OVERRUN) {
        fixed[8 + t / 64] = t;
    } else if (p.mistake == OVERRUN_DYNAMIC) {
        dynamic[3] = t;
    } else if (p.mistake == STACK && t == 9) {
        use_stack(66);
    } else if (p.mistake == UNALIGNED) {
        gr::load16(reinterpret_cast<const char*>(p.memory) + 4);
    }
}

static void mistakes() {
    for (int mistake = BARRIER_MISSED; mistake <= UNALIGNED; mistake++) {
        alignas(16) const float memory[8] = {};
        const std::string text = gr::test::failure_of(
            [&] { launch("gr_test_mistake", 1, 1, 64, 12, MistakeParams{mistake, memory}); });
        const bool shared = mistake == OVERRUN || mistake == OVERRUN_DYNAMIC;
        GR_CHECK(text.find("kernel gr_test_mistake, block (0, 0): ") != std::string::npos &&
                     text.find(shared ? "shared memory" : "thread ") != std::string::npos,
                 "mistake %d: %s", mistake, text.c_str());
    }
}

// A launch after a failed one finds all as it should be.
static void recovery() {
    const gr::emulator::Kernel* kernel = gr::emulator::Kernel::find("gr_test_mistake");
    const MistakeParams params{SHUFFLE_MISSED, nullptr};
    GR_CHECK(kernel != nullptr && !gr::emulator::run(*kernel, 2, 1, 64, 0, &params));
    warps();
    blocks();
}

int main() {
    warps();
    blocks();
    matrix_product();
    numbers();
    halves();
    fresh_shared_memory();
    mistakes();
    recovery();
    return 0;
}
