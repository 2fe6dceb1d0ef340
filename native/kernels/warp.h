// Where a thread stands in its grid, and reductions over a warp or a block, all in a fixed order.
#pragma once

#include "groupreduce/device.h"

namespace gr {

constexpr int WARP = 32;

GR_DEVICE int lane() { return static_cast<int>(threadIdx.x % WARP); }

GR_DEVICE int warp() { return static_cast<int>(threadIdx.x / WARP); }

// The number of this warp in the grid: the row it takes.
GR_DEVICE int warp_in_grid() { return static_cast<int>(blockIdx.x * (blockDim.x / WARP)) + warp(); }

GR_DEVICE int64_t thread_in_grid() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }

// What `combine` makes of the numbers of all lanes, in every lane.
template <class T, class Combine>
GR_DEVICE T reduce_warp(T value, Combine combine) {
    GR_UNROLL
    for (int mask = WARP / 2; mask > 0; mask /= 2) {
        value = combine(value, shuffle_xor(value, mask));
    }
    return value;
}

template <class T>
GR_DEVICE T warp_sum(T value) {
    return reduce_warp(value, [](T a, T b) { return a + b; });
}

GR_DEVICE float warp_max(float value) {
    return reduce_warp(value, [](float a, float b) { return fmaxf(a, b); });
}

// The same of all threads of a block, the warps' one after the other; in shared memory.
template <int Warps, class T, class Combine>
GR_DEVICE T reduce_block(T value, T (&of_warps)[Warps], Combine combine) {
    value = reduce_warp(value, combine);
    sync_block();
    if (lane() == 0) {
        of_warps[warp()] = value;
    }
    sync_block();
    T result = of_warps[0];
    for (int w = 1; w < Warps; w++) {
        result = combine(result, of_warps[w]);
    }
    return result;
}

}  // namespace gr
