// What a pass keeps of the logits it has seen: per thread and column the largest logit, the sum of exponentials below
// it and the token; per warp the drawn token.
#pragma once

#include "softmax_strip.h"

namespace gr::softmax {

constexpr int WARPS = 8;
constexpr int BLOCK = WARPS * WARP;

// Token, bias and scale of the four rows of a lane. Rows beyond the group have the logit -infinity and no token.
struct Rows {
    unsigned token[4];
    float bias[4], scale[4];
};

// Every lane reads one row, early; the lanes exchange them when they are needed.
struct RowOfLane {
    unsigned token;
    float bias, scale;

    GR_DEVICE Rows spread() const {
        Rows rows;
        GR_UNROLL
        for (int i = 0; i < 4; i++) {
            rows.token[i] = shuffle(token, lane_row(i));
            rows.bias[i] = shuffle(bias, lane_row(i));
            rows.scale[i] = shuffle(scale, lane_row(i));
        }
        return rows;
    }
};

GR_DEVICE RowOfLane row_of_lane(const GrPacked& group, int strip, const float* log8) {
    const int row = strip * STRIP + lane();
    if (row >= group.rows) {
        return {NO_TOKEN, negative_infinity(), 0};
    }
    return {static_cast<unsigned>(group.tokens[row]), group.bias == nullptr ? 0 : group.bias[row],
            row_scale(group, row, log8)};
}

// The sums become logits.
template <int N>
GR_DEVICE void finish_logits(Sums<N>& sums, const Rows& rows) {
    GR_UNROLL
    for (int i = 0; i < 8 * N; i++) {
        float& y = sums.total[i / (4 * N)][i / 4 % N][i % 4];
        const int row = i / (4 * N) * 2 + i % 4 / 2;
        y = fma(y, rows.scale[row], rows.bias[row]);
    }
}

template <int N>
GR_DEVICE float largest(Sums<N>& sums, int j, int e) {
    return fmaxf(fmaxf(sums.of(0, j, e), sums.of(1, j, e)), fmaxf(sums.of(2, j, e), sums.of(3, j, e)));
}

// The token of the first row with this logit; rows of a lane ascend, and so do their tokens.
template <int N>
GR_DEVICE unsigned token_of(float logit, Sums<N>& sums, int j, int e, const Rows& rows) {
    return sums.of(0, j, e) == logit   ? rows.token[0]
           : sums.of(1, j, e) == logit ? rows.token[1]
           : sums.of(2, j, e) == logit ? rows.token[2]
           : sums.of(3, j, e) == logit ? rows.token[3]
                                       : rows.token[0];
}

// The largest logit of a thread's column and its token, in shared memory: [number * BLOCK + thread].
template <int N>
struct Maxima {
    float max[2 * N * BLOCK];
    unsigned token[2 * N * BLOCK];
};

// Column 8 j + 2 (lane % 4) + e is number 2 j + e of a thread.
template <int N>
struct Running {
    float sum[2 * N];

    GR_DEVICE void start(Maxima<N>& maxima) {
        GR_UNROLL
        for (int q = 0; q < 2 * N; q++) {
            sum[q] = 0;
            maxima.max[q * BLOCK + threadIdx.x] = negative_infinity();
            maxima.token[q * BLOCK + threadIdx.x] = NO_TOKEN;
        }
    }

    // Adds the four logits of a column; factor times log 2 is what logits are multiplied by in the exponent. NaN and
    // +infinity make the sum NaN and keep it so.
    GR_DEVICE void add(Sums<N>& sums, int j, int e, const Rows& rows, float factor, Maxima<N>& maxima) {
        const int q = 2 * j + e;
        const int at = q * BLOCK + static_cast<int>(threadIdx.x);
        const float top = largest(sums, j, e);
        float max = maxima.max[at];
        if (top >= max) {
            const unsigned token = token_of(top, sums, j, e, rows);
            if (top > max) {
                sum[q] *= exp2f((max - top) * factor);
                max = top;
                maxima.max[at] = max;
                maxima.token[at] = token;
            } else if (token < maxima.token[at]) {
                maxima.token[at] = token;
            }
        }
        const float base = max == negative_infinity() ? 0 : max;
        sum[q] += (exp2f((sums.of(0, j, e) - base) * factor) + exp2f((sums.of(1, j, e) - base) * factor)) +
                  (exp2f((sums.of(2, j, e) - base) * factor) + exp2f((sums.of(3, j, e) - base) * factor));
    }
};

// exp of a maximum below another one, which may be the same or infinite.
GR_DEVICE float fade(float max, float largest, float factor) {
    return max == largest ? 1 : exp2f((max - largest) * factor);
}

// The largest key of each column over the eight lanes that share it. After it lane l holds N / 4 numbers (at least one)
// of key, for the thread's numbers first onward; where it is fewer than one a lane, only some lanes are said to own
// theirs.
template <int N>
struct SpreadKeys {
    static constexpr int HELD = N < 4 ? 1 : N / 4;
    int first;
    bool owned;

    GR_DEVICE explicit SpreadKeys(Key (&key)[2 * N]) {
        first = 0;
        owned = true;
        int count = 2 * N;
        GR_UNROLL
        for (int mask = 16; mask >= 4; mask /= 2) {
            const bool upper = (lane() & mask) != 0;
            if (count == 1) {
                key[0] = max(key[0], shuffle_xor(key[0], mask));
                owned = owned && !upper;
                continue;
            }
            count /= 2;
            GR_UNROLL
            for (int i = 0; i < N; i++) {
                if (i < count) {
                    const Key kept = upper ? key[i + count] : key[i];
                    const Key given = upper ? key[i] : key[i + count];
                    key[i] = max(kept, shuffle_xor(given, mask));
                }
            }
            first += upper ? count : 0;
        }
    }

    // The column of number i that this lane holds.
    GR_DEVICE int column(int i) const { return (first + i) / 2 * 8 + lane() % 4 * 2 + (first + i) % 2; }
};

// How the tokens of a state are drawn.
struct Draw {
    Key key;
    float shift, floor;
    double scale;
};

// The best drawn token so far of a warp's columns, in shared memory; lanes 0, 4, .. 28 share a column and agree.
struct Drawn {
    double score;
    unsigned token;

    // Takes the larger score, of equal ones the lower token.
    GR_DEVICE void take(double other, unsigned its_token) {
        if (its_token != NO_TOKEN && (token == NO_TOKEN || other > score || (other == score && its_token < token))) {
            score = other;
            token = its_token;
        }
    }
};

// Which of four logits may beat a score. Rounding of single precision is allowed for; what is NaN on the way may.
GR_DEVICE unsigned may_win(const float (&logits)[4], const Rows& rows, const Draw& draw, const Drawn& best) {
    const float scale = static_cast<float>(draw.scale);
    const float limit = static_cast<float>(best.score);
    unsigned mask = 0;
    GR_UNROLL
    for (int i = 0; i < 4; i++) {
        const float scaled = (logits[i] - draw.shift) * scale;
        const float bound = scaled + noise_bound(noise_hash(draw.key, rows.token[i])) + (1e-4f + 5e-7f * fabsf(scaled));
        const bool loses = best.token != NO_TOKEN && bound < limit;
        mask |= rows.token[i] != NO_TOKEN && logits[i] >= draw.floor && !loses ? 1u << i : 0u;
    }
    return mask;
}

GR_DEVICE double exact_score(float logit, unsigned token, const Draw& draw) {
    const double above = static_cast<double>(logit) - draw.shift;
    return (above == 0 ? 0 : above * draw.scale) + noise_of(noise_hash(draw.key, token));
}

// Draws among four logits of each lane; warp-wide, and the lanes of a column come out with the same.
GR_DEVICE Drawn draw_among(const float (&logits)[4], const Rows& rows, const Draw& draw, bool wanted, Drawn best) {
    unsigned mask = wanted ? may_win(logits, rows, draw, best) : 0;
    if (ballot(mask != 0) == 0) {
        return best;
    }
    while (mask != 0) {
        const int i = 31 - leading_zeros(mask);
        const float logit = i == 0 ? logits[0] : i == 1 ? logits[1] : i == 2 ? logits[2] : logits[3];
        const unsigned token = i == 0 ? rows.token[0] : i == 1 ? rows.token[1] : i == 2 ? rows.token[2] : rows.token[3];
        best.take(exact_score(logit, token, draw), token);
        mask ^= 1u << i;
    }
    GR_UNROLL
    for (int lanes = 16; lanes >= 4; lanes /= 2) {
        const double score = shuffle_xor(best.score, lanes);
        const unsigned token = shuffle_xor(best.token, lanes);
        best.take(score, token);
    }
    return best;
}

}  // namespace gr::softmax
