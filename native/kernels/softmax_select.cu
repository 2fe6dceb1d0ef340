// The k largest of n keys of a state.
//
//   {i : key_i >= t}  with t such that there are k of them
//
// Keys are all different, but 0, which is none. The usual way, for short lists: the k-th largest of the maxima of 128
// shares of the keys is a bound that hardly more than k keys reach; those go onto a shortlist, on which each counts how
// many are larger. Few meetings of the block, because at small batches the time of a selection is that of the answer.
// Where the shortlist would be long, t is found by digits of 11 bits from the top: a histogram of the keys that agree
// with what is known of t says where the k-th largest lies; no further digit is looked at once all keys of its bin are
// taken. Bytes: the keys twice, or once a digit, six times at most, and once more. Never materialised: a sorted list
// longer than k. Twin: io.groupreduce.internal.select.Ranking.
#include "softmax_numbers.h"

namespace gr {
namespace softmax {
namespace {

constexpr int THREADS = 512;
constexpr int WARPS = THREADS / LANES;
constexpr int DIGIT = 11;
constexpr int BINS = 1 << DIGIT;
constexpr int BINS_OF_THREAD = BINS / THREADS;
constexpr int KEY_BITS = 64;
constexpr int SHARES = 128;
constexpr int LANES_OF_SHARE = THREADS / SHARES;
constexpr int MOST_SHORTLISTED = THREADS;

struct Selection {
    int histogram[BINS];
    int warp_sums[WARPS];
    int bin, before;  // the bin of the k-th largest key, and how many keys are in larger bins
};

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

// The sum of `value` over this thread and those before it; warp_sums holds the sums of whole warps afterwards.
GR_DEVICE int prefix_sum(int value, int (&warp_sums)[WARPS]) {
    int sum = value;
    GR_UNROLL
    for (int distance = 1; distance < LANES; distance *= 2) {
        const int other = shuffle(sum, lane_number() - distance);
        sum += lane_number() >= distance ? other : 0;
    }
    sync_block();
    if (lane_number() == LANES - 1) {
        warp_sums[warp_number()] = sum;
    }
    sync_block();
    for (int w = 0; w < warp_number(); w++) {
        sum += warp_sums[w];
    }
    return sum;
}

// Finds the bin in which the wanted-th largest key lies. Thread t looks after the bins from the t-th largest four on.
GR_DEVICE void find_bin(Selection& s, int wanted) {
    int counts[BINS_OF_THREAD];
    int own = 0;
    const int top = BINS - 1 - static_cast<int>(threadIdx.x) * BINS_OF_THREAD;
    GR_UNROLL
    for (int i = 0; i < BINS_OF_THREAD; i++) {
        counts[i] = s.histogram[top - i];
        own += counts[i];
    }
    int before = prefix_sum(own, s.warp_sums) - own;
    GR_UNROLL
    for (int i = 0; i < BINS_OF_THREAD; i++) {
        if (before < wanted && wanted <= before + counts[i]) {
            s.bin = top - i;
            s.before = before;
        }
        before += counts[i];
    }
    sync_block();
}

// The smallest of the k largest keys, or a number below it and above all others.
GR_DEVICE Key threshold(const Key* keys, int n, int k, Selection& s) {
    const int thread = static_cast<int>(threadIdx.x);
    Key found = 0;
    int wanted = k;
    int known = 0;  // bits of the threshold, from the top
    while (known < KEY_BITS) {
        const int digit = min(DIGIT, KEY_BITS - known);
        const int shift = KEY_BITS - known - digit;
        for (int b = thread; b < BINS; b += THREADS) {
            s.histogram[b] = 0;
        }
        sync_block();
        for (int i = thread; i < n; i += THREADS) {
            const Key key = keys[i];
            if (known == 0 || (key ^ found) >> (KEY_BITS - known) == 0) {
                atomic_add(&s.histogram[static_cast<int>(key >> shift) & ((1 << digit) - 1)], 1);
            }
        }
        sync_block();
        find_bin(s, wanted);
        found |= static_cast<Key>(s.bin) << shift;
        wanted -= s.before;
        known += digit;
        if (s.histogram[s.bin] == wanted) {
            break;
        }
        sync_block();
    }
    return found;
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
}  // namespace softmax
}  // namespace gr

// The places of the k largest keys.
GR_KERNEL(gr_select_places, GrSelectParams, 512) {
    using namespace gr::softmax;
    GR_SHARED(Selection, selection, 1);
    GR_SHARED(Shortlist, list, 1);
    const Key* keys = reinterpret_cast<const Key*>(p.keys) + static_cast<int64_t>(blockIdx.x) * p.n;
    int32_t* places = p.places + static_cast<int64_t>(blockIdx.x) * p.k;
    if (p.k <= SHARES && fill(list[0], keys, p.n, p.k)) {
        const Ranked ranked = rank_of_thread(list[0]);
        if (ranked.rank < p.k) {
            places[ranked.rank] = ranked.place;
        }
        return;
    }
    // By a running sum over the keys in their order.
    const Key least = threshold(keys, p.n, p.k, selection[0]);
    int before = 0;
    for (int first = 0; first < p.n && before < p.k; first += THREADS) {
        const int i = first + static_cast<int>(threadIdx.x);
        const bool taken = i < p.n && keys[i] >= least;
        const int place = before + prefix_sum(taken ? 1 : 0, selection[0].warp_sums) - 1;
        if (taken && place < p.k) {
            places[place] = i;
        }
        for (int w = 0; w < WARPS; w++) {
            before += selection[0].warp_sums[w];
        }
    }
}

// The k largest keys as tokens and logits, the largest first.
GR_KERNEL(gr_select_sorted, GrSelectParams, 512) {
    using namespace gr::softmax;
    GR_SHARED(Selection, selection, 1);
    GR_SHARED(Shortlist, list, 1);
    GR_SHARED(Key, sorted, GR_MOST_SELECTED);
    GR_SHARED(int, taken, 1);
    const Key* keys = reinterpret_cast<const Key*>(p.keys) + static_cast<int64_t>(blockIdx.x) * p.n;
    const int thread = static_cast<int>(threadIdx.x);
    const int64_t first = static_cast<int64_t>(blockIdx.x) * p.k;
    if (p.k <= SHARES && fill(list[0], keys, p.n, p.k)) {
        const Ranked ranked = rank_of_thread(list[0]);
        if (ranked.rank < p.k) {
            p.tokens[first + ranked.rank] = static_cast<int32_t>(key_token(ranked.key));
            p.logits[first + ranked.rank] = key_logit(ranked.key);
        }
        return;
    }
    const Key least = threshold(keys, p.n, p.k, selection[0]);
    int room = 1;
    while (room < p.k) {
        room *= 2;
    }
    for (int i = thread; i < room; i += THREADS) {
        sorted[i] = 0;
    }
    if (thread == 0) {
        taken[0] = 0;
    }
    gr::sync_block();
    for (int i = thread; i < p.n; i += THREADS) {
        const Key key = keys[i];
        // In any order: they are sorted next.
        const int place = key >= least ? gr::atomic_add(&taken[0], 1) : room;
        if (place < room) {
            sorted[place] = key;
        }
    }
    sort(sorted, room);
    for (int i = thread; i < p.k; i += THREADS) {
        p.tokens[first + i] = static_cast<int32_t>(key_token(sorted[i]));
        p.logits[first + i] = key_logit(sorted[i]);
    }
}
