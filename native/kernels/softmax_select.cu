// The k largest of n keys of a state.
//
//   {i : key_i >= t}  with t such that there are k of them
//
// Keys are all different, but 0, which is none. t is found by digits of 11 bits from the top: a histogram of the keys
// that agree with what is known of t says where the k-th largest lies; no further digit is looked at once all keys of
// its bin are taken. Bytes: the keys once a digit, six times at most, and once more. Never materialised: a sorted list
// longer than k. Twin: io.groupreduce.vector.inference.Ranking.
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

struct Selection {
    int histogram[BINS];
    int warp_sums[WARPS];
    int bin, before;  // the bin of the k-th largest key, and how many keys are in larger bins
};

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

// The places of the k largest keys, ascending: a running sum over the keys in their order.
GR_KERNEL(gr_select_places, GrSelectParams, 512) {
    using namespace gr::softmax;
    GR_SHARED(Selection, selection, 1);
    const Key* keys = reinterpret_cast<const Key*>(p.keys) + static_cast<int64_t>(blockIdx.x) * p.n;
    int32_t* places = p.places + static_cast<int64_t>(blockIdx.x) * p.k;
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
    GR_SHARED(Key, sorted, GR_MOST_SELECTED);
    GR_SHARED(int, taken, 1);
    const Key* keys = reinterpret_cast<const Key*>(p.keys) + static_cast<int64_t>(blockIdx.x) * p.n;
    const int thread = static_cast<int>(threadIdx.x);
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
        const int64_t to = static_cast<int64_t>(blockIdx.x) * p.k + i;
        p.tokens[to] = static_cast<int32_t>(key_token(sorted[i]));
        p.logits[to] = key_logit(sorted[i]);
    }
}
