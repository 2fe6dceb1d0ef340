// Merges what the blocks of a pass found for a question.
//
//   sum = sum_b sum_b exp((max_b - max) / T), max = max_b max_b;   the best key;   the token of largest logit / T' + g
//
// Shapes: partials questions x blocks. A thread merges partials t, t + 128, .., then threads are merged in a tree:
// always the same order. Bytes: 24 a partial, and z once, to find coordinates that are not finite. Never materialised:
// anything between the partials and the result. Twin: io.groupreduce.internal.reference.ReferenceInference.
#include "softmax_running.h"

namespace gr::softmax {
namespace {

constexpr int THREADS = 128;

struct Merged {
    Key best;
    double sum;
    Drawn drawn;
    int broken;

    GR_DEVICE void add(const Merged& other, const GrQuestion& question) {
        const double most = best_logit(best), its_most = best_logit(other.best);
        const double both = its_most > most ? its_most : most;
        // A block without tiles has no maximum and the sum 0.
        const double mine = most == both ? sum : sum * exp((most - both) * question.sum_scale);
        const double its = its_most == both ? other.sum : other.sum * exp((its_most - both) * question.sum_scale);
        sum = mine + its;
        best = max(best, other.best);
        broken |= other.broken;
        drawn.take(other.drawn, question.temperature);
    }
};

GR_DEVICE Drawn drawn_of(const GrPartial& partial, const Draw& draw) {
    return DrawnOfWarp{partial.drawn, 0, static_cast<unsigned>(partial.token)}.exact(draw);
}

GR_DEVICE Merged of_thread(const GrFinishParams& p, int number) {
    const GrQuestion& question = p.questions[number];
    const Draw draw = draw_of(question);
    Merged merged{0, 0, nothing_drawn().exact(draw), 0};
    for (int b = static_cast<int>(threadIdx.x); b < p.blocks; b += THREADS) {
        const GrPartial& partial = p.partial[static_cast<int64_t>(number) * p.blocks + b];
        merged.add({partial.best, partial.sum, drawn_of(partial, draw), partial.broken}, question);
    }
    for (int d = static_cast<int>(threadIdx.x); d < p.directions; d += THREADS) {
        const float coordinate = p.z[static_cast<int64_t>(question.state) * p.directions + d];
        merged.broken |= coordinate - coordinate == 0 ? 0 : 1;
    }
    return merged;
}

GR_DEVICE void write(GrAnswer& answer, const Merged& merged) {
    const bool broken = merged.broken != 0 || merged.best == 0;
    const bool drawn = !broken && merged.drawn.token != NO_TOKEN;
    answer.sum = broken ? static_cast<double>(NAN) : merged.sum;
    answer.best = broken ? 0 : merged.best;
    answer.drawn = drawn ? merged.drawn.logit : NAN;
    answer.token = drawn ? static_cast<int32_t>(merged.drawn.token) : -1;
}

}  // namespace

GR_KERNEL(gr_finish, GrFinishParams, 128) {
    GR_SHARED(Merged, found, THREADS);
    const int thread = static_cast<int>(threadIdx.x);
    const int number = static_cast<int>(blockIdx.x);
    found[thread] = of_thread(p, number);
    for (int half = THREADS / 2; half > 0; half /= 2) {
        sync_block();
        if (thread < half) {
            found[thread].add(found[thread + half], p.questions[number]);
        }
    }
    if (thread == 0) {
        write(p.answers[number], found[0]);
    }
}

}  // namespace gr::softmax
