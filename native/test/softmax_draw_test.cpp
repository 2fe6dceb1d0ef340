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
    head.basis(24).basis(9, exact ? F32 : BF16);
    head.group(0, 24, 340, INT8).group(0, 7, 90, BF16).group(1, 9, 300, INT4, GR_SCALE_LOG8).zero(5);
    head.dense(44, F32).build();
    return head;
}

int plain_draw(const Query& q, int s) {
    const GrQuestion& question = q.questions[s];
    int best = -1;
    double best_noise = 0;
    for (int token = 0; token < q.head.vocabulary; token++) {
        if (q.open(s, token)) {
            const double its_noise = noise(question.noise, token);
            const double above = best < 0 ? 1 : static_cast<double>(q.logit(s, token)) - q.logit(s, best);
            if (best < 0 || above / question.temperature + (its_noise - best_noise) > 0) {
                best = token;
                best_noise = its_noise;
            }
        }
    }
    return best;
}

// Returns how many were not the best token.
int check_draws(Head head) {
    int different = 0;
    const std::vector<uint32_t> some = random_set(head.random, head.vocabulary, 4);
    const double temperatures[] = {1, 3, 0.25, 1e300, 1e-3, 1e-15, 1e-320};
    for (int states : {1, 3, 9, 33}) {
        const std::vector<float> hidden = head.hidden(states);
        for (int n : {2, 8}) {
            Query q(head, hidden);
            q.n = n;
            q.blocks = n == 8 ? 2 : 4;
            q.logits = true;
            q.keys = states == 3;
            q.questions.clear();
            for (int i = 0; i < 8 * states; i++) {
                GrQuestion question = question_of(i / 8);
                question.open = i % 3 == 2 ? some.data() : nullptr;
                question.noise = noise_key(77, i);
                question.temperature = i % 8 < 7 ? temperatures[i % 8] : 0;
                q.questions.push_back(question);
            }
            q.run();
            for (int i = 0; i < q.count(); i++) {
                if (q.questions[i].temperature > 0) {
                    const int wanted = plain_draw(q, i);
                    GR_CHECK(q.answers[i].token == wanted, "temperature %g, question %d of %d: %d, not %d",
                             q.questions[i].temperature, i, q.count(), q.answers[i].token, wanted);
                    GR_CHECK(q.answers[i].drawn == q.logit(i, wanted), "question %d", i);
                    different += wanted == gr::test::token_of(q.answers[i].best) ? 0 : 1;
                } else {
                    GR_CHECK(q.answers[i].token == -1, "question %d", i);
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
    head.basis(2).group(0, 2, 6000, INT8).build();
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
        GR_CHECK(q.answers[s].best == plain_key(static_cast<float>(most), best), "state %d", s);
    }
    GR_CHECK(ties > 0);
    // All logits the same: the lowest token of all, which may be in any group.
    for (GroupOfHead& g : head.groups) {
        std::fill(g.bias.begin(), g.bias.end(), -3.5f);
    }
    Query same(head, std::vector<float>(hidden.size(), 0.0f));
    same.logits = true;
    for (int s = 0; s < same.states; s++) {
        same.questions[s].noise = noise_key(9, s);
        same.questions[s].temperature = 1e-18;
    }
    same.run();
    for (int s = 0; s < same.states; s++) {
        const GrAnswer& found = same.answers[s];
        GR_CHECK(found.best == plain_key(-3.5f, 0) && found.sum == head.vocabulary, "state %d: %g", s, found.sum);
        GR_CHECK(found.token == plain_draw(same, s), "state %d: %d", s, found.token);
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
            q.questions[s].noise = noise_key(5, s);
            q.questions[s].temperature = 1;
        }
        q.run();
        for (int s = 0; s < q.states; s++) {
            const GrAnswer& found = q.answers[s];
            const size_t n = head.vocabulary;
            if (s == 4) {
                GR_CHECK(found.token == -1 && found.best == 0 && found.sum != found.sum && found.drawn != found.drawn,
                         "kind %d", kind);
            } else {
                GR_CHECK(found.sum == good.answers[s].sum && found.best == good.answers[s].best, "kind %d, state %d",
                         kind, s);
                GR_CHECK(found.token == plain_draw(q, s), "kind %d, state %d", kind, s);
                GR_CHECK(memcmp(q.all.data() + s * n, good.all.data() + s * n, 4 * n) == 0, "kind %d, state %d", kind,
                         s);
            }
        }
    }
}

// A logit beyond binary32 says nothing about a question for which its token is not open.
void closedTokensBreakNothing() {
    Head head = some_head(24);
    head.groups[0].bias[3] = INFINITY;
    head.groups[1].bias[5] = NAN;
    std::vector<uint32_t> open((head.vocabulary + 31) / 32, 0xffffffffu);
    for (int token : {head.groups[0].tokens[3], head.groups[1].tokens[5]}) {
        open[token / 32] &= ~(1u << token % 32);
    }
    Query q(head, head.hidden(1));
    q.logits = true;
    q.questions.push_back(question_of(0));
    for (GrQuestion& question : q.questions) {
        question.temperature = 1;
        question.noise = noise_key(3, 0);
    }
    q.questions[1].open = open.data();
    q.run();
    GR_CHECK(q.answers[0].best == 0 && q.answers[0].token == -1);
    GR_CHECK(q.answers[1].best != 0 && q.answers[1].token == plain_draw(q, 1) && q.answers[1].sum > 0);
}

}  // namespace

int main() {
    drawnTokensAreThoseOfPlainArithmetic();
    tiesGoToTheLowerToken();
    brokenStatesDisturbNoOther();
    closedTokensBreakNothing();
    return 0;
}
