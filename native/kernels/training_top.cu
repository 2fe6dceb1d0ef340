// The k best tokens of a state, kept while the vocabulary goes by.
//
//   best_now = the k largest keys of best and of this tile
//
// Shapes: logits states x stride, best states x k, in no order. Only what beats the least of k known keys is looked at
// twice: radix selection among those and the known ones. Bytes: 4 a token and state, read once; candidates, few after
// the first tile. Never materialised: a sorted list, keys of all tokens. Twin: largest of
// io.groupreduce.internal.reference.ReferenceComparison.
#include "groupreduce/training.h"
#include "logit_keys.h"

namespace gr::training {
namespace {

constexpr int MOST_THREADS = 512;

using Selection = RadixSelection<8, WARP>;

// The keys that may be among the best: those known and the candidates of this tile.
struct Keys {
    const Key* known;
    const Key* candidates;
    int known_count, count;

    GR_DEVICE Key operator[](int i) const { return i < known_count ? known[i] : candidates[i - known_count]; }
};

}  // namespace

// Counters in shared memory settle where keys lie, never which.
GR_KERNEL(gr_pair_top, GrPairTopParams, MOST_THREADS) {
    GR_SHARED(Selection, selection, 1);
    GR_SHARED(Key, beaten, 1);  // the complement of the least known key: 0 is the easiest start for a maximum
    GR_SHARED(int, found, 1);
    GR_SHARED(int, kept, 1);
    const int64_t state = blockIdx.x;
    const Key* best = reinterpret_cast<const Key*>(p.best) + state * p.k;
    Key* candidates = reinterpret_cast<Key*>(p.candidates) + state * p.stride;
    if (threadIdx.x == 0) {
        beaten[0] = 0;
        found[0] = 0;
        kept[0] = 0;
    }
    sync_block();
    if (p.known == p.k) {
        Key most = 0;
        for (int i = threadIdx.x; i < p.k; i += blockDim.x) {
            most = max(most, ~best[i]);
        }
        atomic_max(&beaten[0], most);
    }
    sync_block();
    const Key least = p.known == p.k ? ~beaten[0] : 0;
    const float* logits = p.logits + state * p.stride;
    for (int i = threadIdx.x; i < p.count; i += blockDim.x) {
        const int token = p.order == nullptr ? p.first + i : p.order[p.first + i];
        const float logit = p.bias == nullptr ? logits[i] : logits[i] + p.bias[token];
        const Key key = logit_key(logit, static_cast<unsigned>(token));
        if (key > least) {
            candidates[atomic_add(&found[0], 1)] = key;
        }
    }
    sync_block();
    const Keys keys = {best, candidates, p.known, p.known + found[0]};
    const Key enough = keys.count > p.k ? selection[0].threshold(keys, keys.count, p.k) : 0;
    Key* now = reinterpret_cast<Key*>(p.best_now) + state * p.k;
    for (int i = threadIdx.x; i < keys.count; i += blockDim.x) {
        const Key key = keys[i];
        if (key >= enough) {
            now[atomic_add(&kept[0], 1)] = key;
        }
    }
}

}  // namespace gr::training
