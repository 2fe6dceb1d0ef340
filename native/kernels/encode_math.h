// What the encode kernels share: sums over a warp, the scales of stored rows, and products that no compiler may fuse
// with a sum.
#pragma once

#include "groupreduce/device.h"
#include "groupreduce/encode.h"
#include "stored_rows.h"

namespace gr {
namespace encode {

// Adding it to a number below 2^22 in magnitude rounds that to an integer, ties to even.
constexpr float ROUNDING = 12582912.0f;  // 1.5 * 2^23

GR_DEVICE int lane() { return static_cast<int>(threadIdx.x % 32); }

GR_DEVICE int warp() { return static_cast<int>(threadIdx.x / 32); }

// The number of this warp in the grid: the row it takes.
GR_DEVICE int warp_in_grid() { return static_cast<int>(blockIdx.x * (blockDim.x / 32)) + warp(); }

// The sum over a warp, in every lane.
template <class T>
GR_DEVICE T warp_sum(T value) {
    GR_UNROLL
    for (int mask = 16; mask > 0; mask /= 2) {
        value += gr::shuffle_xor(value, mask);
    }
    return value;
}

GR_DEVICE float warp_max(float value) {
    GR_UNROLL
    for (int mask = 16; mask > 0; mask /= 2) {
        value = fmaxf(value, gr::shuffle_xor(value, mask));
    }
    return value;
}

// Products and sums rounded on their own, as Java rounds them: same bits on the card and the host. The emulation is
// compiled without contraction anyway.
#ifdef __CUDACC__
GR_DEVICE float multiply(float a, float b) { return __fmul_rn(a, b); }
GR_DEVICE float add(float a, float b) { return __fadd_rn(a, b); }
#else
inline float multiply(float a, float b) { return a * b; }
inline float add(float a, float b) { return a + b; }
#endif

// Scale `index` of those stored, as a reader sees it.
GR_DEVICE float scale_of(const GrStored& stored, const float* log8, int64_t index) {
    return gr::stored::scale(stored.scales, stored.scale_bytes, index, log8);
}

}  // namespace encode
}  // namespace gr
