// The k largest of n keys of a question.
//
//   {i : key_i >= t}  with t such that there are k of them
//
// Shapes: keys questions x n, all different, but 0, which is none; places, or tokens and logits, questions x k. The
// usual way, for short lists: the k-th largest of the maxima of 128 shares of the keys is a bound that hardly more than
// k keys reach; those go onto a shortlist, on which each counts how many are larger. Few meetings of the block, because
// at small batches the time of a selection is that of the answer. Where the shortlist would be long, t is found by
// digits of 11 bits from the top. Bytes: the keys twice, or once a digit, six times at most, and once more. Never
// materialised: a sorted list longer than k. Twin: io.groupreduce.internal.select.Ranking.
#include "groupreduce/softmax.h"
#include "logit_keys.h"

namespace gr::softmax {
namespace {

constexpr int THREADS = 512;
constexpr int WARPS = THREADS / WARP;
constexpr int SHARES = 128;
constexpr int LANES_OF_SHARE = THREADS / SHARES;
constexpr int MOST_SHORTLISTED = THREADS;

using Selection = RadixSelection<11, THREADS>;

// How many keys this block is to take.
GR_DEVICE int wanted(const GrSelectParams& p) {
    const int listed = p.questions == nullptr ? p.k : p.questions[blockIdx.x].listed;
    return p.questions != nullptr && listed < 2 ? 0 : min(listed, static_cast<int>(p.k));
}

struct Shortlist {
    Key largest[SHARES];
    Key bound;
    Key keys[MOST_SHORTLISTED];
    int places[MOST_SHORTLISTED];
    int count;  // more than MOST_SHORTLISTED: the shortlist is of no use
};

GR_DEVICE int larger_keys(Key key, const Key* keys, int count) {
    int larger = 0;
    for (int i = 0; i < count; i++) {
        larger += keys[i] > key ? 1 : 0;
    }
    return larger;
}

// Keys that may be among the k largest. Returns whether they have room.
GR_DEVICE bool fill(Shortlist& list, const Key* keys, int n, int k) {
    const int thread = static_cast<int>(threadIdx.x);
    Key most = 0;
    for (int i = thread; i < n; i += THREADS) {
        most = max(most, keys[i]);
    }
    GR_UNROLL
    for (int lanes = LANES_OF_SHARE / 2; lanes > 0; lanes /= 2) {
        most = max(most, shuffle_xor(most, lanes));
    }
    if (thread % LANES_OF_SHARE == 0) {
        list.largest[thread / LANES_OF_SHARE] = most;
    }
    if (thread == 0) {
        list.bound = 1;  // where fewer than k shares have a key: all keys but 0
        list.count = 0;
    }
    sync_block();
    if (thread < SHARES) {
        const Key own = list.largest[thread];
        if (own != 0 && larger_keys(own, list.largest, SHARES) == k - 1) {
            list.bound = own;
        }
    }
    sync_block();
    const Key bound = list.bound;
    for (int i = thread; i < n; i += THREADS) {
        const Key key = keys[i];
        if (key >= bound) {
            // In any order: what comes of them is ordered by rank.
            const int to = atomic_add(&list.count, 1);
            if (to < MOST_SHORTLISTED) {
                list.keys[to] = key;
                list.places[to] = i;
            }
        }
    }
    sync_block();
    return list.count <= MOST_SHORTLISTED;
}

// The key that this thread has on a shortlist, and how many are larger.
struct Ranked {
    int rank, place;
    Key key;
};

GR_DEVICE Ranked rank_of_thread(const Shortlist& list) {
    const int thread = static_cast<int>(threadIdx.x);
    if (thread >= list.count) {
        return {MOST_SHORTLISTED, 0, 0};
    }
    const Key key = list.keys[thread];
    return {larger_keys(key, list.keys, list.count), list.places[thread], key};
}

// Descending, by bitonic merges; all threads.
GR_DEVICE void sort(Key (&keys)[GR_MOST_SELECTED], int count) {
    for (int size = 2; size <= count; size *= 2) {
        for (int distance = size / 2; distance > 0; distance /= 2) {
            sync_block();
            for (int pair = static_cast<int>(threadIdx.x); pair < count / 2; pair += THREADS) {
                const int low = pair / distance * 2 * distance + pair % distance;
                Key& a = keys[low];
                Key& b = keys[low + distance];
                if (((low & size) == 0) == (a < b)) {
                    const Key swapped = a;
                    a = b;
                    b = swapped;
                }
            }
        }
    }
    sync_block();
}

}  // namespace

// The places of the k largest keys.
GR_KERNEL(gr_select_places, GrSelectParams, 512) {
    GR_SHARED(Selection, selection, 1);
    GR_SHARED(Shortlist, list, 1);
    const Key* keys = reinterpret_cast<const Key*>(p.keys) + static_cast<int64_t>(blockIdx.x) * p.n;
    int32_t* places = p.places + static_cast<int64_t>(blockIdx.x) * p.k;
    const int k = wanted(p);
    for (int i = static_cast<int>(threadIdx.x); i < p.k; i += THREADS) {
        places[i] = -1;
    }
    if (k == 0) {
        return;
    }
    sync_block();
    if (k <= SHARES && fill(list[0], keys, p.n, k)) {
        const Ranked ranked = rank_of_thread(list[0]);
        if (ranked.rank < k) {
            places[ranked.rank] = ranked.place;
        }
        return;
    }
    // By a running sum over the keys in their order.
    const Key least = max(selection[0].threshold(keys, p.n, k), Key{1});
    int before = 0;
    for (int first = 0; first < p.n && before < k; first += THREADS) {
        const int i = first + static_cast<int>(threadIdx.x);
        const bool taken = i < p.n && keys[i] >= least;
        const int place = before + prefix_sum(taken ? 1 : 0, selection[0].warp_sums) - 1;
        if (taken && place < k) {
            places[place] = i;
        }
        for (int w = 0; w < WARPS; w++) {
            before += selection[0].warp_sums[w];
        }
    }
}

// The k largest keys as tokens and logits, the largest first.
GR_KERNEL(gr_select_sorted, GrSelectParams, 512) {
    GR_SHARED(Selection, selection, 1);
    GR_SHARED(Shortlist, list, 1);
    GR_SHARED(Key, sorted, GR_MOST_SELECTED);
    GR_SHARED(int, taken, 1);
    const Key* keys = reinterpret_cast<const Key*>(p.keys) + static_cast<int64_t>(blockIdx.x) * p.n;
    const int thread = static_cast<int>(threadIdx.x);
    const int64_t first = static_cast<int64_t>(blockIdx.x) * p.k;
    const int k = wanted(p);
    if (k == 0) {
        return;
    }
    if (k <= SHARES && fill(list[0], keys, p.n, k)) {
        const Ranked ranked = rank_of_thread(list[0]);
        if (ranked.rank < k) {
            p.tokens[first + ranked.rank] = static_cast<int32_t>(key_token(ranked.key));
            p.logits[first + ranked.rank] = key_logit(ranked.key);
        }
        // Where fewer are than wanted, all are on the shortlist.
        for (int i = list[0].count + thread; i < k; i += THREADS) {
            p.tokens[first + i] = -1;
            p.logits[first + i] = NAN;
        }
        return;
    }
    const Key least = max(selection[0].threshold(keys, p.n, k), Key{1});
    int room = 1;
    while (room < k) {
        room *= 2;
    }
    for (int i = thread; i < room; i += THREADS) {
        sorted[i] = 0;
    }
    if (thread == 0) {
        taken[0] = 0;
    }
    sync_block();
    for (int i = thread; i < p.n; i += THREADS) {
        const Key key = keys[i];
        // In any order: they are sorted next.
        const int place = key >= least ? atomic_add(&taken[0], 1) : room;
        if (place < room) {
            sorted[place] = key;
        }
    }
    sort(sorted, room);
    for (int i = thread; i < k; i += THREADS) {
        p.tokens[first + i] = static_cast<int32_t>(key_token(sorted[i]));
        p.logits[first + i] = key_logit(sorted[i]);
    }
}

}  // namespace gr::softmax
