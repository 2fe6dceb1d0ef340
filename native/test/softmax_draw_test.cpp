// Ties, states whose numbers leave binary32, and drawn tokens of the pass, against plain rules.
#include "softmax_head.h"

using namespace gr::test;

namespace {

// io.groupreduce.internal.select.GumbelNoise, once more.
uint64_t noise_key(uint64_t seed, int state) {
    uint64_t z = seed + static_cast<uint64_t>(state + 1) * 0x9E3779B97F4A7C15ull;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return z ^ z >> 31;
}

double noise(uint64_t key, int token) {
    uint32_t x = static_cast<uint32_t>(token) * 0x9E3779B1u + static_cast<uint32_t>(key);
    x = (x ^ x >> 16) * 0x85EBCA6Bu;
    x = (x ^ x >> 13) * 0xC2B2AE35u + static_cast<uint32_t>(key >> 32);
    x = (x ^ x >> 16) * 0x7FEB352Du;
    x = (x ^ x >> 15) * 0x846CA68Bu;
    x = x ^ x >> 16;
    return -log(-log((x + 0.5) * 0x1p-32));
}

Head some_head(unsigned long long seed, bool exact = false) {
    Head head(seed, 24, true, exact);
    head.basis(24).basis(9, exact ? GR_F32 : GR_BF16);
    head.group(0, 24, 340, GR_INT8).group(0, 7, 90, GR_BF16).group(1, 9, 300, INT4, GR_SCALE_LOG8).zero(5);
    head.dense(44, GR_F32).build();
    return head;
}

int plain_draw(const Query& q, int s) {
    int best = -1;
    double most = -INFINITY;
    for (int token = 0; token < q.head.vocabulary; token++) {
        const float y = q.logit(s, token);
        if (!q.floor.empty() && y < q.floor[s]) {
            continue;
        }
        const double above = static_cast<double>(y) - (q.shift.empty() ? 0 : static_cast<double>(q.shift[s]));
        const double score = (above == 0 ? 0 : above * q.noise_scale) + noise(q.noise[s], token);
        if (best < 0 || score > most) {
            best = token;
            most = score;
        }
    }
    return best;
}

// Returns how many were not the best token.
int check_draws(Head head) {
    int different = 0;
    for (int states : {1, 3, 9, 33}) {
        const std::vector<float> hidden = head.hidden(states);
        for (double scale : {1.0, 0.3, 4.0, 0.0, 1e3, 1e15, static_cast<double>(INFINITY)}) {
            for (int n : {1, 4}) {
                if (n == 4 && states < 9) {
                    continue;
                }
                Query q(head, hidden);
                q.n = n;
                q.blocks = n == 4 ? 2 : 4;
                q.logits = true;
                q.keys = scale == 1;
                q.run();
                q.noise_scale = scale;
                for (int s = 0; s < states; s++) {
                    q.noise.push_back(noise_key(77 + static_cast<uint64_t>(1000 * scale), s));
                    const float most = q.logit(s, static_cast<int>(~static_cast<unsigned>(q.best[s])));
                    if (scale > 1) {
                        q.shift.push_back(most);
                    }
                    if (scale == 0.3) {
                        q.floor.push_back(most - 1.5f);
                    }
                }
                q.run();
                for (int s = 0; s < states; s++) {
                    const int wanted = plain_draw(q, s);
                    GR_CHECK(q.drawn[s] == wanted, "scale %g, state %d of %d: %d, not %d", scale, s, states, q.drawn[s],
                             wanted);
                    different += wanted == static_cast<int>(~static_cast<unsigned>(q.best[s])) ? 0 : 1;
                }
            }
        }
    }
    return different;
}

void drawnTokensAreThoseOfPlainArithmetic() {
    GR_CHECK(check_draws(some_head(21)) > 20);
    // Many strips a warp: most tokens are left out by a bound.
    Head head(24, 5);
    head.basis(2).group(0, 2, 6000, GR_INT8).build();
    GR_CHECK(check_draws(std::move(head)) > 20);
}

void tiesGoToTheLowerToken() {
    Head head = some_head(22, true);
    const std::vector<float> hidden = head.hidden(17);
    Query q(head, hidden);
    q.logits = true;
    q.n = 2;
    q.run();
    int ties = 0;
    for (int s = 0; s < q.states; s++) {
        head.project(hidden.data() + s * head.columns);
        int best = 0;
        double most = -INFINITY;
        for (int token = 0; token < head.vocabulary; token++) {
            const double y = head.logit(hidden.data() + s * head.columns, token).first;
            GR_CHECK(q.logit(s, token) == y, "state %d, token %d", s, token);
            ties += y == most ? 1 : 0;
            best = y > most ? token : best;
            most = std::max(most, y);
        }
        GR_CHECK(q.best[s] == plain_key(static_cast<float>(most), best), "state %d", s);
    }
    GR_CHECK(ties > 0);
    // All logits the same: the lowest token of all, which may be in any group.
    for (GroupOfHead& g : head.groups) {
        std::fill(g.bias.begin(), g.bias.end(), -3.5f);
    }
    Query same(head, std::vector<float>(hidden.size(), 0.0f));
    same.noise_scale = 1e18;  // swallows the noise
    for (int s = 0; s < same.states; s++) {
        same.noise.push_back(noise_key(9, s));
    }
    same.run();
    for (int s = 0; s < same.states; s++) {
        GR_CHECK(same.best[s] == plain_key(-3.5f, 0) && same.drawn[s] == 0, "state %d: %d", s, same.drawn[s]);
    }
}

void brokenStatesDisturbNoOther() {
    Head head = some_head(23);
    const std::vector<float> hidden = head.hidden(9);
    Query good(head, hidden);
    good.logits = true;
    good.run();
    for (int kind = 0; kind < 5; kind++) {
        Query q(head, hidden);
        q.logits = true;
        q.keys = true;
        q.project();
        float* z = q.z.data() + 4 * head.directions;
        if (kind == 0) {
            z[2] = INFINITY;
        } else if (kind == 1) {
            z[2] = NAN;
        } else if (kind == 2) {
            z[head.directions - 1] = -INFINITY;  // beyond what any group uses
        } else if (kind == 3) {
            for (int d = 0; d < 24; d++) {
                z[d] = 3e38f;  // finite, but logits are not
            }
        } else {
            std::fill(q.hidden.begin() + 4 * head.columns, q.hidden.begin() + 5 * head.columns, 3e38f);
            std::fill(z, z + head.directions, 0.0f);
        }
        for (int s = 0; s < q.states; s++) {
            q.noise.push_back(noise_key(5, s));
        }
        q.run();
        for (int s = 0; s < q.states; s++) {
            const size_t at = s;
            const size_t n = head.vocabulary;
            if (s == 4 && kind == 1) {
                for (size_t t = 0; t < head.tiles.size(); t++) {
                    const GroupOfHead& g = head.groups[head.tiles[t].group];
                    const bool wanted = g.basis != 0 || q.tile_keys[s * head.tiles.size() + t] >> 32 == 0xffffffffu;
                    GR_CHECK(wanted, "tile %zu", t);
                }
            }
            if (s == 4) {
                GR_CHECK(
                    q.broken[at] == 1 && q.drawn[at] == -1 && q.best[at] == 0 && q.log_sum_exp[at] != q.log_sum_exp[at],
                    "kind %d", kind);
            } else {
                GR_CHECK(q.broken[at] == 0 && q.log_sum_exp[at] == good.log_sum_exp[at] && q.best[at] == good.best[at],
                         "kind %d, state %d", kind, s);
                GR_CHECK(q.drawn[at] == plain_draw(q, s), "kind %d, state %d", kind, s);
                GR_CHECK(memcmp(q.all.data() + at * n, good.all.data() + at * n, 4 * n) == 0, "kind %d, state %d", kind,
                         s);
            }
        }
    }
}

}  // namespace

int main() {
    drawnTokensAreThoseOfPlainArithmetic();
    tiesGoToTheLowerToken();
    brokenStatesDisturbNoOther();
    return 0;
}
