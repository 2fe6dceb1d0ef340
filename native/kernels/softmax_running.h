// What a pass keeps of the logits it has seen: per lane and question the largest logit, its token and the sum of
// exponentials below it; per warp the drawn token.
#pragma once

#include "softmax_strip.h"

namespace gr::softmax {

// Every lane has one row of a strip. Rows beyond the group have the logit -infinity and no token.
struct Row {
    unsigned token;
    float bias, scale;
};

GR_DEVICE Row no_row() { return {NO_TOKEN, negative_infinity(), 0}; }

// The rows of a group.
struct RowsAhead : RowScales {
    const int32_t* tokens;
    const float* bias;

    GR_DEVICE RowsAhead(const GrPacked& group, const float* log8)
        : RowScales(group, log8), tokens(group.tokens), bias(group.bias) {}

    // Without a branch on the row, so that loads do not wait for each other: the last one stands in for those beyond.
    GR_DEVICE Row of_lane(int strip) const {
        const int row = strip * STRIP + lane();
        const int read = min(row, rows - 1);
        const unsigned token = static_cast<unsigned>(tokens[read]);
        const float number = bias == nullptr ? 0 : bias[read];
        const float scale = row_scale(read);
        return row < rows ? Row{token, number, scale} : no_row();
    }
};

// The largest logit that a lane has seen of a question, and the sum of exponentials below it. Nothing yet: a finite
// maximum, so that -infinity adds nothing to it. The token is in shared memory, since it seldom changes.
struct Running {
    float max = -3.40282347e38f;
    float sum = 0;

    // factor times log 2 is what logits are multiplied by in the exponent. NaN makes the sum NaN and keeps it so.
    GR_DEVICE void add(float logit, unsigned of, float factor, unsigned& token) {
        const float faded = exp2_approx(-fabsf(logit - max) * factor);
        const bool above = logit > max;
        sum = above ? fma(sum, faded, 1.0f) : sum + faded;
        if (logit >= max) {
            token = above ? of : min(of, token);
        }
        max = above ? logit : max;
    }

    GR_DEVICE Key key(unsigned token) const { return token == NO_TOKEN ? 0 : open_key(max, token); }

    // The sum, NaN where a logit was +infinity too.
    GR_DEVICE float sum_or_nan() const { return max - max == 0 ? sum : NAN; }
};

// The largest logit of a lane's rows of a tile, in shared memory: its tokens ascend.
struct TileBest {
    float max;
    unsigned token;

    GR_DEVICE void add(float logit, unsigned of) {
        if (logit > max) {
            *this = {logit, of};
        }
    }
};

GR_DEVICE TileBest nothing_in_tile() { return {negative_infinity(), NO_TOKEN}; }

// exp of a maximum below another one, which may be the same or infinite.
GR_DEVICE float fade(float max, float largest, float factor) {
    return max == largest ? 1 : exp2f((max - largest) * factor);
}

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

// The same in shared memory, of a warp.
struct DrawnOfWarp {
    float logit, noise;
    unsigned token;

    GR_DEVICE Drawn exact(const Draw& draw) const { return {logit, token, token == NO_TOKEN ? 0 : draw.noise(token)}; }
};

GR_DEVICE DrawnOfWarp nothing_drawn() { return {0, 0, NO_TOKEN}; }

// Whether a logit may beat the best. Rounding of single precision is allowed for.
GR_DEVICE bool may_win(float logit, unsigned token, const Draw& draw, const DrawnOfWarp& best) {
    const float scaled = (logit - best.logit) * draw.scale();
    const float bound = scaled + 5e-7f * fmaxf(scaled, fminf(-scaled, 1e30f)) +
                        (noise_bound(noise_hash(draw.key, token)) + 1e-4f);
    return logit > negative_infinity() && !(best.token != NO_TOKEN && bound < best.noise);
}

// Draws among the logits of a warp's lanes, which come out with the same.
GR_DEVICE DrawnOfWarp draw_among(float logit, unsigned token, const Draw& draw, const DrawnOfWarp& before) {
    const bool taking = draw.wanted && may_win(logit, token, draw, before);
    if (ballot(taking) == 0) {
        return before;
    }
    Drawn best = before.exact(draw);
    if (taking) {
        best.take({logit, token, draw.noise(token)}, draw.temperature);
    }
    GR_UNROLL
    for (int lanes = WARP / 2; lanes > 0; lanes /= 2) {
        const Drawn other{shuffle_xor(best.logit, lanes), shuffle_xor(best.token, lanes),
                          shuffle_xor(best.noise, lanes)};
        best.take(other, draw.temperature);
    }
    return {best.logit, static_cast<float>(best.noise), best.token};
}

}  // namespace gr::softmax
