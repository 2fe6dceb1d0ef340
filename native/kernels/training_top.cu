// The k best tokens of a state, kept while the vocabulary goes by. Twin: ReferenceComparison.largest.
#include "groupreduce/training.h"
#include "softmax_numbers.h"

namespace {

constexpr int WARP = 32;
constexpr int MOST_THREADS = 512;
constexpr int DIGIT_BITS = 8;
constexpr int DIGITS = 1 << DIGIT_BITS;
constexpr int DIGITS_PER_LANE = DIGITS / WARP;

using gr::softmax::Key;

// The keys that may be among the best: those known and the candidates of this tile.
struct Keys {
    const Key* known;
    const Key* candidates;
    int known_count, count;

    GR_DEVICE Key get(int i) const { return i < known_count ? known[i] : candidates[i - known_count]; }
};

// What the threads of a block share in a selection.
struct Selection {
    int digits[DIGITS];  // keys with every digit
    Key prefix;     // the digits found so far, then zeros
    int left;            // how many keys that begin with them are wanted
    int done;            // 1: all of them are
};

// The digit at which the keys wanted run out, found by the first warp: a lane counts DIGITS_PER_LANE digits, lane 0 the
// largest ones.
GR_DEVICE void next_digit(Selection& s, int shift) {
    const int lane = threadIdx.x;
    const int top = DIGITS - 1 - DIGITS_PER_LANE * lane;
    int own = 0;
    for (int d = 0; d < DIGITS_PER_LANE; d++) {
        own += s.digits[top - d];
    }
    int through = own;
    for (int step = 1; step < WARP; step *= 2) {
        const int before = gr::shuffle(through, gr::max(0, lane - step));
        through += lane >= step ? before : 0;
    }
    const int left = s.left;
    gr::sync_warp();
    int above = through - own;
    if (above < left && left <= through) {
        int d = top;
        while (above + s.digits[d] < left) {
            above += s.digits[d--];
        }
        s.prefix |= static_cast<Key>(d) << shift;
        s.left = left - above;
        s.done = s.digits[d] == s.left;
    }
}

// The least of the k largest keys, with zeros for digits that do not matter; k < keys.count. By all threads of the
// block.
GR_DEVICE Key least_of_best(const Keys& keys, int k, Selection& s) {
    if (threadIdx.x == 0) {
        s.prefix = 0;
        s.left = k;
        s.done = 0;
    }
    for (int shift = 64 - DIGIT_BITS; shift >= 0; shift -= DIGIT_BITS) {
        for (int d = threadIdx.x; d < DIGITS; d += blockDim.x) {
            s.digits[d] = 0;
        }
        gr::sync_block();
        const Key prefix = s.prefix;
        if (s.done != 0) {
            break;
        }
        for (int i = threadIdx.x; i < keys.count; i += blockDim.x) {
            const Key difference = keys.get(i) ^ prefix;
            if (shift == 64 - DIGIT_BITS || difference >> (shift + DIGIT_BITS) == 0) {
                gr::atomic_add(&s.digits[keys.get(i) >> shift & (DIGITS - 1)], 1);
            }
        }
        gr::sync_block();
        if (threadIdx.x < WARP) {
            next_digit(s, shift);
        }
        gr::sync_block();
    }
    return s.prefix;
}

}  // namespace

// best_now = the k largest keys of best and of this tile. Only what beats the least of k known keys is looked at twice:
// radix selection among those and the known ones. Bytes: 4 a token and state, read once; candidates, few after the
// first tile. Counters in shared memory settle where keys lie, never which.
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
    gr::sync_block();
    if (p.known == p.k) {
        Key most = 0;
        for (int i = threadIdx.x; i < p.k; i += blockDim.x) {
            most = gr::max(most, ~best[i]);
        }
        gr::atomic_max(&beaten[0], most);
    }
    gr::sync_block();
    const Key least = p.known == p.k ? ~beaten[0] : 0;
    const float* logits = p.logits + state * p.stride;
    for (int i = threadIdx.x; i < p.count; i += blockDim.x) {
        const int token = p.order == nullptr ? p.first + i : p.order[p.first + i];
        const float logit = p.bias == nullptr ? logits[i] : logits[i] + p.bias[token];
        const Key key = gr::softmax::logit_key(logit, static_cast<unsigned>(token));
        if (key > least) {
            candidates[gr::atomic_add(&found[0], 1)] = key;
        }
    }
    gr::sync_block();
    const Keys keys = {best, candidates, p.known, p.known + found[0]};
    const Key enough = keys.count > p.k ? least_of_best(keys, p.k, selection[0]) : 0;
    Key* now = reinterpret_cast<Key*>(p.best_now) + state * p.k;
    for (int i = threadIdx.x; i < keys.count; i += blockDim.x) {
        const Key key = keys.get(i);
        if (key >= enough) {
            now[gr::atomic_add(&kept[0], 1)] = key;
        }
    }
}
