// What a dense softmax does after its matrix product, for benchmarks: the parts of the log-sum-exp that gr_finish
// merges, and the keys of the chunks that hold the largest logits, for a selection.
//
//   max, sum exp(y - max), best key   of every chunk of 1,024 logits y;   key_i = logit_key(y_i, i) of chosen chunks
//
// Shapes: logits states x vocabulary. Bytes: 4 read a logit, and a chosen chunk once more. The logits are materialised,
// and nothing else of their number. Twin: io.groupreduce.internal.reference.ReferenceInference.
#include "groupreduce/peer.h"
#include "softmax_numbers.h"

namespace gr::softmax {
namespace {

constexpr int THREADS = 256;

// Of two parts of a sum of exponentials, each relative to its own maximum. An empty part has the maximum -infinity and
// the sum 0.
struct Part {
    float max, sum;

    GR_DEVICE void merge(float other_max, float other_sum) {
        const float both = fmaxf(max, other_max);
        if (both > negative_infinity()) {
            sum = sum * expf(max - both) + other_sum * expf(other_max - both);
            max = both;
        }
    }
};

constexpr int LOGITS_OF_THREAD = GR_DENSE_CHUNK / THREADS;

// Adds this thread's logits of a chunk, first + 256 j; returns the best key of them.
GR_DEVICE Key add_logits(Part& part, const float* logits, int first, int end) {
    float found[LOGITS_OF_THREAD];
    float most = negative_infinity();
    Key best = 0;
    GR_UNROLL
    for (int j = 0; j < LOGITS_OF_THREAD; j++) {
        const int i = first + THREADS * j;
        found[j] = i < end ? logits[i] : negative_infinity();
        most = fmaxf(most, found[j]);
        best = i < end ? max(best, logit_key(found[j], static_cast<unsigned>(i))) : best;
    }
    const float base = most == negative_infinity() ? 0 : most;
    float sum = 0;
    GR_UNROLL
    for (int j = 0; j < LOGITS_OF_THREAD; j++) {
        sum += expf(found[j] - base);
    }
    // What is not a number has made the sum not a number, and it stays so. Without logits there is nothing to merge.
    part.merge(sum == 0 ? negative_infinity() : base, sum);
    return best;
}

}  // namespace

GR_KERNEL(gr_dense_scan, GrDenseScanParams, 256) {
    GR_SHARED(Part, parts, THREADS);
    GR_SHARED(Key, bests, THREADS);
    const int thread = static_cast<int>(threadIdx.x);
    const int64_t row = static_cast<int64_t>(blockIdx.y) * p.vocabulary;
    const int first = static_cast<int>(blockIdx.x) * GR_DENSE_CHUNK;
    const int end = min(first + GR_DENSE_CHUNK, static_cast<int>(p.vocabulary));
    Part part{negative_infinity(), 0};
    bests[thread] = add_logits(part, p.logits + row, first + thread, end);
    parts[thread] = part;
    for (int half = THREADS / 2; half > 0; half /= 2) {
        sync_block();
        if (thread < half) {
            parts[thread].merge(parts[thread + half].max, parts[thread + half].sum);
            bests[thread] = max(bests[thread], bests[thread + half]);
        }
    }
    if (thread == 0) {
        const int64_t chunk = static_cast<int64_t>(blockIdx.y) * gridDim.x + blockIdx.x;
        GrPartial& out = p.partial[chunk];
        out.best = bests[0];
        out.sum = parts[0].sum;
        out.drawn = 0;
        out.token = -1;
        out.broken = parts[0].sum == parts[0].sum ? 0 : 1;
        p.best[chunk] = bests[0];
    }
}

GR_KERNEL(gr_dense_keys, GrDenseKeysParams, 256) {
    const int64_t chosen = static_cast<int64_t>(blockIdx.y) * p.k + blockIdx.x;
    const float* logits = p.logits + static_cast<int64_t>(blockIdx.y) * p.vocabulary;
    const int first = p.places[chosen] * GR_DENSE_CHUNK;
    for (int i = static_cast<int>(threadIdx.x); i < GR_DENSE_CHUNK; i += THREADS) {
        const int token = first + i;
        const Key key = token < p.vocabulary ? logit_key(logits[token], static_cast<unsigned>(token)) : 0;
        p.keys[chosen * GR_DENSE_CHUNK + i] = key;
    }
}

}  // namespace gr::softmax
