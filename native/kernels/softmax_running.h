// What a pass keeps of the logits it has seen: per thread and question the largest logit, the sum of exponentials below
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
GR_DEVICE void finish_logits(Sums<N>& sums, const Rows& rows, float cap) {
    GR_UNROLL
    for (int i = 0; i < 8 * N; i++) {
        float& y = sums.total[i / (4 * N)][i / 4 % N][i % 4];
        const int row = i / (4 * N) * 2 + i % 4 / 2;
        y = fma(y, rows.scale[row], rows.bias[row]);
    }
    if (cap != 0) {
        GR_UNROLL
        for (int i = 0; i < 8 * N; i++) {
            float& y = sums.total[i / (4 * N)][i / 4 % N][i % 4];
            y = capped(y, cap);
        }
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

// Question 8 j + 2 (lane % 4) + e of a block is number 2 j + e of a thread.
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

    // Adds the four logits of a question; factor times log 2 is what logits are multiplied by in the exponent. NaN and
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

// How the token of a question is drawn.
struct Draw {
    Key key;
    double temperature;
    bool wanted;

    GR_DEVICE double noise(unsigned token) const { return noise_of(noise_hash(key, token)); }

    GR_DEVICE float scale() const { return fmaxf(1e-30f, fminf(static_cast<float>(1 / temperature), 1e30f)); }
};

GR_DEVICE Draw draw_of(const GrQuestion& question) {
    return {question.noise, question.temperature, question.temperature > 0};
}

// The best token so far of a question. Two tokens are compared by the difference of their logits: at a temperature near
// 0 a logit over it has no meaning.
struct Drawn {
    float logit;
    unsigned token;
    double noise;

    // Of equal ones takes the lower token.
    GR_DEVICE void take(const Drawn& other, double temperature) {
        const double ahead = (static_cast<double>(other.logit) - logit) / temperature + (other.noise - noise);
        if (other.token != NO_TOKEN && (token == NO_TOKEN || ahead > 0 || (ahead == 0 && other.token < token))) {
            *this = other;
        }
    }
};

// The same in shared memory, of a warp's questions; lanes 0, 4, .. 28 share a question and agree.
struct DrawnOfWarp {
    float logit, noise;
    unsigned token;

    GR_DEVICE Drawn exact(const Draw& draw) const { return {logit, token, token == NO_TOKEN ? 0 : draw.noise(token)}; }
};

GR_DEVICE DrawnOfWarp nothing_drawn() { return {0, 0, NO_TOKEN}; }

// Which of four logits may beat the best. Rounding of single precision is allowed for.
GR_DEVICE unsigned may_win(const float (&logits)[4], const Rows& rows, const Draw& draw, const DrawnOfWarp& best) {
    const float scale = draw.scale();
    unsigned mask = 0;
    GR_UNROLL
    for (int i = 0; i < 4; i++) {
        const float scaled = (logits[i] - best.logit) * scale;
        const float bound = scaled + 5e-7f * fmaxf(scaled, fminf(-scaled, 1e30f)) +
                            (noise_bound(noise_hash(draw.key, rows.token[i])) + 1e-4f);
        const bool loses = best.token != NO_TOKEN && bound < best.noise;
        mask |= logits[i] > negative_infinity() && !loses ? 1u << i : 0u;
    }
    return mask;
}

// Draws among four logits of each lane; warp-wide, and the lanes of a question come out with the same.
GR_DEVICE DrawnOfWarp draw_among(const float (&logits)[4], const Rows& rows, const Draw& draw,
                                 const DrawnOfWarp& before) {
    unsigned mask = draw.wanted ? may_win(logits, rows, draw, before) : 0;
    if (ballot(mask != 0) == 0) {
        return before;
    }
    Drawn best = before.exact(draw);
    while (mask != 0) {
        const int i = 31 - leading_zeros(mask);
        const float logit = i == 0 ? logits[0] : i == 1 ? logits[1] : i == 2 ? logits[2] : logits[3];
        const unsigned token = i == 0 ? rows.token[0] : i == 1 ? rows.token[1] : i == 2 ? rows.token[2] : rows.token[3];
        best.take({logit, token, draw.noise(token)}, draw.temperature);
        mask ^= 1u << i;
    }
    GR_UNROLL
    for (int lanes = 16; lanes >= 4; lanes /= 2) {
        const float logit = shuffle_xor(best.logit, lanes);
        const unsigned token = shuffle_xor(best.token, lanes);
        const double noise = shuffle_xor(best.noise, lanes);
        best.take({logit, token, noise}, draw.temperature);
    }
    return {best.logit, static_cast<float>(best.noise), best.token};
}

}  // namespace gr::softmax
