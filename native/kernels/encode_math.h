// What the encode kernels share: the scales of stored rows, and products that no compiler may fuse
// with a sum.
#pragma once

#include "groupreduce/encode.h"
#include "stored_rows.h"
#include "warp.h"

namespace gr::encode {

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

// Scale `index` of those stored, as a reader sees it.
GR_DEVICE float scale_of(const GrStored& stored, const float* log8, int64_t index) {
    return gr::stored::scale(stored.scales, stored.scale_bytes, index, log8);
}

}  // namespace gr::encode
