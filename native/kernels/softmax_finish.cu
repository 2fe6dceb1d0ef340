// Merges what the blocks of a pass found about a state.
//
//   log-sum-exp = M + log sum_b sum_b exp(max_b - M), M = max_b max_b;   the best key;   the token of largest score
//
// Shapes: partials states x blocks. A thread merges partials t, t + 128, .., then threads are merged in a tree: always
// the same order. Bytes: 32 a partial, and z once, to find coordinates that are not finite. Never materialised:
// anything between the partials and the result. Twin: logSumExp and draw of
// io.groupreduce.internal.reference.ReferenceInference.
#include "softmax_numbers.h"

namespace gr::softmax {
namespace {

constexpr int THREADS = 128;

struct Merged {
    double max, sum, score;
    Key best;
    int token;
    int broken;

    GR_DEVICE void add(const Merged& other) {
        const double both = other.max > max ? other.max : max;
        // A block without tiles has the maximum -infinity and the sum 0.
        const double mine = max == both ? sum : sum * exp(max - both);
        const double its = other.max == both ? other.sum : other.sum * exp(other.max - both);
        sum = mine + its;
        max = both;
        best = best < other.best ? other.best : best;
        broken |= other.broken;
        if (other.token >= 0 && (token < 0 || other.score > score || (other.score == score && other.token < token))) {
            score = other.score;
            token = other.token;
        }
    }
};

GR_DEVICE Merged nothing() { return {-static_cast<double>(INFINITY), 0, 0, 0, -1, 0}; }

GR_DEVICE Merged of_thread(const GrFinishParams& p, int state) {
    Merged merged = nothing();
    for (int b = static_cast<int>(threadIdx.x); b < p.blocks; b += THREADS) {
        const GrPartial& partial = p.partial[static_cast<int64_t>(state) * p.blocks + b];
        merged.add({partial.max, partial.sum, partial.score, partial.best, partial.token, partial.broken});
    }
    for (int d = static_cast<int>(threadIdx.x); d < p.directions; d += THREADS) {
        const float coordinate = p.z[static_cast<int64_t>(state) * p.directions + d];
        merged.broken |= coordinate - coordinate == 0 ? 0 : 1;
    }
    return merged;
}

GR_DEVICE void write(const GrFinishParams& p, int state, const Merged& merged) {
    const bool broken = merged.broken != 0;
    if (p.log_sum_exp != nullptr) {
        p.log_sum_exp[state] = broken ? static_cast<double>(NAN) : merged.max + log(merged.sum);
    }
    if (p.best != nullptr) {
        p.best[state] = broken ? 0 : merged.best;
    }
    if (p.drawn != nullptr) {
        p.drawn[state] = broken ? -1 : merged.token;
    }
    p.broken[state] = broken ? 1 : 0;
}

}  // namespace

GR_KERNEL(gr_finish, GrFinishParams, 128) {
    GR_SHARED(Merged, found, THREADS);
    const int thread = static_cast<int>(threadIdx.x);
    const int state = static_cast<int>(blockIdx.x);
    found[thread] = of_thread(p, state);
    for (int half = THREADS / 2; half > 0; half /= 2) {
        sync_block();
        if (thread < half) {
            found[thread].add(found[thread + half]);
        }
    }
    if (thread == 0) {
        write(p, state, found[0]);
    }
}

}  // namespace gr::softmax
