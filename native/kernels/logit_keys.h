// Keys of logits, and the selection of the largest ones.
#pragma once

#include "warp.h"

namespace gr {

using Key = unsigned long long;

constexpr int KEY_BITS = 64;

// Orders logits, the largest first and of equal ones the lower token; NaN is the largest. 0 is no key. Twin:
// io.groupreduce.internal.select.KeyedLogit.
GR_DEVICE Key logit_key(float logit, unsigned token) {
    unsigned bits = float_bits(logit + 0.0f);  // -0 becomes 0
    bits = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    bits = logit != logit ? 0xffffffffu : bits;
    return static_cast<Key>(bits) << 32 | ~token;
}

GR_DEVICE unsigned key_token(Key key) { return ~static_cast<unsigned>(key); }

GR_DEVICE float key_logit(Key key) {
    const unsigned bits = static_cast<unsigned>(key >> 32);
    return bits_float(bits & 0x80000000u ? bits & 0x7fffffffu : ~bits);
}

// The sum of `value` over this thread and those before it, of so many warps; warp_sums holds the sums of whole warps
// afterwards, unless there is one.
template <int Warps>
GR_DEVICE int prefix_sum(int value, int (&warp_sums)[Warps]) {
    int sum = value;
    GR_UNROLL
    for (int distance = 1; distance < WARP; distance *= 2) {
        const int other = shuffle(sum, lane() - distance);
        sum += lane() >= distance ? other : 0;
    }
    if (Warps == 1) {
        return sum;
    }
    sync_block();
    if (lane() == WARP - 1) {
        warp_sums[warp()] = sum;
    }
    sync_block();
    for (int w = 0; w < warp(); w++) {
        sum += warp_sums[w];
    }
    return sum;
}

// What a block shares while it looks for a threshold by digits of `Digit` bits. The first `Finders` threads go through
// the counts: the first warp of a block of any size, or all of a block of so many.
template <int Digit, int Finders>
struct RadixSelection {
    static constexpr int BINS = 1 << Digit;
    static constexpr int BINS_OF_THREAD = BINS / Finders;

    int histogram[BINS];
    int warp_sums[Finders / WARP];
    int bin, before;  // the bin of the k-th largest key, and how many keys are in larger bins

    // Finds the bin in which the wanted-th largest key lies. Thread t looks after the bins from the t-th largest few
    // on.
    GR_DEVICE void find_bin(int wanted) {
        int counts[BINS_OF_THREAD];
        int own = 0;
        const int top = BINS - 1 - static_cast<int>(threadIdx.x) * BINS_OF_THREAD;
        GR_UNROLL
        for (int i = 0; i < BINS_OF_THREAD; i++) {
            counts[i] = histogram[top - i];
            own += counts[i];
        }
        int larger = prefix_sum(own, warp_sums) - own;
        GR_UNROLL
        for (int i = 0; i < BINS_OF_THREAD; i++) {
            if (larger < wanted && wanted <= larger + counts[i]) {
                bin = top - i;
                before = larger;
            }
            larger += counts[i];
        }
    }

    // The smallest of the k largest of n keys, all different but 0, or a number below it and above all others; by all
    // threads of the block. A histogram of the keys that agree with what is known of it says where the k-th largest
    // lies; no further digit is looked at once all keys of its bin are taken.
    template <class Keys>
    GR_DEVICE Key threshold(const Keys& keys, int n, int k) {
        const int threads = Finders > WARP ? Finders : static_cast<int>(blockDim.x);
        const int thread = static_cast<int>(threadIdx.x);
        Key found = 0;
        int wanted = k;
        int known = 0;  // bits of the threshold, from the top
        while (known < KEY_BITS) {
            const int digit = min(Digit, KEY_BITS - known);
            const int shift = KEY_BITS - known - digit;
            for (int b = thread; b < BINS; b += threads) {
                histogram[b] = 0;
            }
            sync_block();
            for (int i = thread; i < n; i += threads) {
                const Key key = keys[i];
                if (known == 0 || (key ^ found) >> (KEY_BITS - known) == 0) {
                    atomic_add(&histogram[static_cast<int>(key >> shift) & ((1 << digit) - 1)], 1);
                }
            }
            sync_block();
            if (Finders > WARP || thread < WARP) {
                find_bin(wanted);
            }
            sync_block();
            found |= static_cast<Key>(bin) << shift;
            wanted -= before;
            known += digit;
            if (histogram[bin] == wanted) {
                break;
            }
            sync_block();
        }
        return found;
    }
};

}  // namespace gr
