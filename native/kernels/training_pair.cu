// The dense and the compressed softmax side by side, tile by tile of the vocabulary: x_i = A_i h + a_i,
// y_i = L_i z + b_i. Shapes: logits of a tile, states x stride, come from GEMMs. Twins:
// io.groupreduce.internal.reference.ReferenceComparison, logits and step of
// io.groupreduce.internal.reference.ReferenceCalibration.
#include "groupreduce/training.h"
#include "warp.h"

namespace gr::training {
namespace {

constexpr int MOST_THREADS = 512;
constexpr int MOST_WARPS = MOST_THREADS / WARP;
constexpr int PLACE_THREADS = 128;

struct Pair {
    float dense, compressed;
};

GR_DEVICE Pair logits(const GrPairTile& tile, int state, int i, int token) {
    const int64_t base = static_cast<int64_t>(state) * tile.stride;
    Pair pair = {tile.dense[base + token - tile.first], tile.compressed[base + i]};
    if (tile.dense_bias != nullptr) {
        pair.dense += tile.dense_bias[token];
    }
    if (tile.compressed_bias != nullptr) {
        pair.compressed += tile.compressed_bias[token];
    }
    return pair;
}

// Two softmaxes over some tokens: sums are relative to exp(maximum).
struct Sums {
    float dense_max, compressed_max;
    double dense_sum, gap, compressed_sum;
};

// Also for the empty sums, whose maximum is -infinity.
GR_DEVICE double factor(float before, float after) {
    return before == after ? 1 : exp(static_cast<double>(before) - after);
}

GR_DEVICE void rescale(Sums& sums, float dense_max, float compressed_max) {
    const double dense = factor(sums.dense_max, dense_max);
    sums.dense_sum *= dense;
    sums.gap *= dense;
    sums.compressed_sum *= factor(sums.compressed_max, compressed_max);
    sums.dense_max = dense_max;
    sums.compressed_max = compressed_max;
}

GR_DEVICE void add(Sums& sums, Sums other) {
    const float dense_max = fmaxf(sums.dense_max, other.dense_max);
    const float compressed_max = fmaxf(sums.compressed_max, other.compressed_max);
    rescale(sums, dense_max, compressed_max);
    rescale(other, dense_max, compressed_max);
    sums.dense_sum += other.dense_sum;
    sums.gap += other.gap;
    sums.compressed_sum += other.compressed_sum;
}

GR_DEVICE Sums add_over_warp(Sums sums) {
    rescale(sums, warp_max(sums.dense_max), warp_max(sums.compressed_max));
    sums.dense_sum = warp_sum(sums.dense_sum);
    sums.gap = warp_sum(sums.gap);
    sums.compressed_sum = warp_sum(sums.compressed_sum);
    return sums;
}

}  // namespace

//   m = max z_i,   s = sum exp(z_i - m) of both heads,   gap = sum exp(x_i - m) (x_i - y_i)
//
// rescaled when a maximum rises; a thread sums in binary32, threads and tiles are added up in double, in a fixed order.
// Bytes: 8 a token and state, read once. Never materialised: a probability, logits beyond the tile.
GR_KERNEL(gr_pair_softmax, GrPairSoftmaxParams, MOST_THREADS) {
    GR_SHARED(Sums, of_warp, MOST_WARPS);
    const int state = blockIdx.x;
    const GrPairTile& tile = p.tile;
    float dense_max = -INFINITY, dense_sum = 0, gap = 0, compressed_max = -INFINITY, compressed_sum = 0;
    for (int i = threadIdx.x; i < tile.count; i += blockDim.x) {
        const int token = tile.order[tile.first + i];
        const Pair z = logits(tile, state, i, token);
        if (z.dense > dense_max) {
            const float scale = expf(dense_max - z.dense);
            dense_sum *= scale;
            gap *= scale;
            dense_max = z.dense;
        }
        const float e = expf(z.dense - dense_max);
        dense_sum += e;
        gap = fma(e, z.dense - z.compressed, gap);
        if (z.compressed > compressed_max) {
            compressed_sum *= expf(compressed_max - z.compressed);
            compressed_max = z.compressed;
        }
        compressed_sum += expf(z.compressed - compressed_max);
    }
    const Sums of_thread = {dense_max, compressed_max, dense_sum, gap, compressed_sum};
    const Sums sums = add_over_warp(of_thread);
    if (lane() == 0) {
        of_warp[warp()] = sums;
    }
    sync_block();
    if (threadIdx.x >= WARP) {
        return;
    }
    const Sums nothing = {-INFINITY, -INFINITY, 0, 0, 0};
    Sums total = add_over_warp(threadIdx.x < blockDim.x / WARP ? of_warp[threadIdx.x] : nothing);
    if (threadIdx.x != 0) {
        return;
    }
    GrPairState& running = p.running[state];
    if (p.begin == 0) {
        Sums before = {running.dense_max, running.compressed_max, running.dense_sum, running.gap,
                       running.compressed_sum};
        add(before, total);
        total = before;
    }
    running.dense_max = total.dense_max;
    running.compressed_max = total.compressed_max;
    running.dense_sum = total.dense_sum;
    running.gap = total.gap;
    running.compressed_sum = total.compressed_sum;
    running.dense_inverse = static_cast<float>(1 / total.dense_sum);
    running.compressed_inverse = static_cast<float>(1 / total.compressed_sum);
    if (p.targets != nullptr) {
        const int target = p.targets[state];
        if (target >= tile.first && target < tile.first + tile.count) {
            const Pair z = logits(tile, state, p.target_places[state] - tile.first, target);
            p.dense_target[state] = z.dense;
            p.compressed_target[state] = z.compressed;
        }
    }
}

// g_i = weight (q_i - p_i), in place of the compressed logits. Bytes: 12 a token and state. Never materialised: p, q.
GR_KERNEL(gr_pair_gradient, GrPairGradientParams, PLACE_THREADS) {
    const GrPairTile& tile = p.tile;
    const int i = blockIdx.x * PLACE_THREADS + threadIdx.x;
    if (i >= tile.count) {
        return;
    }
    const int token = tile.order[tile.first + i];
    const int end = min(tile.states, static_cast<int>(blockIdx.y + 1) * GR_PAIR_STATES);
    for (int state = blockIdx.y * GR_PAIR_STATES; state < end; state++) {
        const GrPairState& running = p.running[state];
        const Pair z = logits(tile, state, i, token);
        const float dense = expf(z.dense - running.dense_max) * running.dense_inverse;
        const float compressed = expf(z.compressed - running.compressed_max) * running.compressed_inverse;
        tile.compressed[static_cast<int64_t>(state) * tile.stride + i] = p.weight * (compressed - dense);
    }
}

}  // namespace gr::training
