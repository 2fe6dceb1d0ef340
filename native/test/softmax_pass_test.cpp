// gr_project, gr_softmax_n and gr_finish against double: every codec, layout and batch.
#include "softmax_head.h"

using namespace gr::test;

namespace {

Head every_layout() {
    Head head(11, 53);
    head.basis(53).basis(33, BF16).basis(17, INT8).basis(40, INT8, true).basis(31, INT4);
    const int ranks[] = {1, 2, 16, 17, 31, 33, 53};
    const int ranks_of_basis[] = {53, 33, 17, 40, 31};
    const int sizes[] = {3, 40, 1, 33, 9};
    int added = 0;
    for (int codec = F32; codec < CODECS; codec++) {
        for (int format : codec >= INT8 ? std::vector<int>{GR_SCALE_F32, GR_SCALE_BF16, GR_SCALE_LOG8}
                                           : std::vector<int>{GR_SCALE_F32}) {
            for (int i = 0; i < 2; i++) {
                const int rank = ranks[added % 7];
                int basis = added % 5;
                basis = ranks_of_basis[basis] < rank ? 0 : basis;
                head.group(basis, rank, sizes[added % 5], codec, format, added % 3 == 0);
                added++;
            }
            head.dense(2 + added % 9, codec, format, format == GR_SCALE_LOG8);
        }
    }
    head.group(0, 48, 290, INT8, GR_SCALE_BF16).zero(7).group(1, 33, 520, INT4, GR_SCALE_LOG8).zero(0);
    head.dense(0, BF16);
    return head;
}

void check_logits(Query& q, const char* what) {
    for (int s = 0; s < q.states; s++) {
        const float* h = q.hidden.data() + s * q.head.columns;
        q.head.project(h);
        for (int token = 0; token < q.head.vocabulary; token++) {
            const auto [wanted, allowed] = q.head.logit(h, token);
            GR_CHECK(fabs(q.logit(s, token) - wanted) <= allowed,
                     "%s, n %d, %d states, state %d, token %d: %.9g, not %.9g within %g", what, q.n, q.states, s, token,
                     static_cast<double>(q.logit(s, token)), wanted, allowed);
        }
    }
}

// Directions that pad a basis have the coordinate 0, and every coordinate is written.
void check_padding(const Query& q) {
    for (const Factor& b : q.head.bases) {
        for (int d = b.rows; d < b.strips() * 32; d++) {
            GR_CHECK(q.z[b.view.operand + d] == 0 && q.z[(q.states - 1) * q.head.directions + b.view.operand + d] == 0);
        }
    }
    GR_CHECK(q.z.back() != q.z.back());
}

// What is found beside the logits, from these.
void check_found(Query& q, const char* what) {
    for (int s = 0; s < q.count(); s++) {
        const float* y = q.all.data() + s * q.head.vocabulary;
        const double scale = q.questions[s].sum_scale;
        uint64_t best = 0;
        double sum = 0;
        const auto key_of = [&](int token) {
            return q.open(s, token) && y[token] != -INFINITY ? plain_key(y[token], token) : 0;
        };
        for (int token = 0; token < q.head.vocabulary; token++) {
            best = std::max(best, key_of(token));
        }
        for (int token = 0; token < q.head.vocabulary; token++) {
            const double below = static_cast<double>(y[token]) - y[gr::test::token_of(best)];
            sum += q.open(s, token) ? exp(scale * below) : 0;
        }
        const GrAnswer& found = q.answers[s];
        GR_CHECK(fabs(found.sum - sum) <= 2e-6 * sum, "%s, question %d: %.9g, not %.9g", what, s, found.sum, sum);
        GR_CHECK(found.best == best, "%s, question %d", what, s);
        GR_CHECK(found.token == -1 && found.drawn != found.drawn, "%s, question %d", what, s);
        for (size_t t = 0; t < q.tiles.size() && q.keys; t++) {
            const GrTile& tile = q.tiles[t];
            const std::vector<int32_t>& tokens = q.head.groups[tile.group].tokens;
            uint64_t key = 0;
            for (int slot = tile.first_strip * 32;
                 slot < (tile.first_strip + tile.strips) * 32 && slot < static_cast<int>(tokens.size()); slot++) {
                key = std::max(key, key_of(tokens[slot]));
            }
            GR_CHECK(q.tile_keys[s * q.tiles.size() + t] == key, "%s, question %d, tile %zu", what, s, t);
        }
    }
}

void everyLayoutAndBatchMatchesDouble() {
    Head head = every_layout();
    head.build();
    const std::vector<float> all = head.hidden(65);
    std::vector<float> first;  // all logits
    for (int states : {17, 9, 8, 3, 1}) {
        const std::vector<float> hidden(all.begin(), all.begin() + states * head.columns);
        for (int n : {2, 4, 8}) {
            if (states > 9 && n < 8) {
                continue;
            }
            Query q(head, hidden);
            q.n = n;
            q.logits = true;
            q.keys = n != 4;
            q.blocks = n == 8 ? 5 : 3;
            q.run();
            if (first.empty()) {
                first = q.all;
                check_padding(q);
                check_logits(q, "every layout");
            }
            check_found(q, "every layout");
            // A state's logits are the same bits whatever the batch and the kernel.
            GR_CHECK(memcmp(first.data(), q.all.data(), states * head.vocabulary * 4) == 0, "%d states, n %d", states,
                     n);
            Query again = q;
            again.run();
            GR_CHECK(memcmp(q.partial.data(), again.partial.data(), q.partial.size() * sizeof(GrPartial)) == 0,
                     "%d states, n %d", states, n);
        }
    }
}

Head wide() {
    Head head(12, 300);
    head.basis(290, BF16).basis(128, INT8);
    head.group(0, 290, 70, F32).group(0, 257, 40, BF16).group(0, 128, 33, INT8);
    head.group(0, 129, 40, INT8, GR_SCALE_BF16, true);
    head.group(0, 273, 40, INT4, GR_SCALE_LOG8, true).group(1, 128, 50, INT4).group(1, 97, 50, INT4).zero(40);
    head.group(1, 113, 600, INT8);
    for (int codec = F32; codec < CODECS; codec++) {
        head.dense(35, codec, GR_SCALE_F32, codec == INT8);
    }
    return head;
}

void chunksOfOperandsChangeNoBit() {
    Head head = wide();
    head.build();
    const std::vector<float> hidden = head.hidden(9);
    Query whole(head, hidden);
    whole.logits = true;
    whole.run();
    check_logits(whole, "wide");
    check_found(whole, "wide");
    for (int n : {2, 4, 8}) {
        for (int chunk : {1, 2, 3, 9}) {
            if (n > 2 && chunk > 1) {
                continue;
            }
            Query q(head, hidden);
            q.n = n;
            q.panel = std::max(GR_TERM_BYTES, chunk * (n / 2) * GR_DIGIT_BYTES);
            q.logits = true;
            q.keys = true;
            q.run();
            GR_CHECK(memcmp(whole.all.data(), q.all.data(), whole.all.size() * 4) == 0, "chunks of %d, n %d", chunk, n);
            check_found(q, "in chunks");
        }
    }
}

void wideProjectionsMatchDouble() {
    Head head(15, 1100);
    head.basis(20).basis(33, INT8, true).basis(40, INT4, true).basis(9, INT4).basis(3, BF16);
    for (int b = 0; b < 5; b++) {
        head.group(b, head.bases[b].rows, 5, BF16);
    }
    head.build();
    Query q(head, head.hidden(11));
    q.logits = true;
    q.run();
    check_padding(q);
    check_logits(q, "wide projections");
}

// A group of lower rank shares operands with one of a higher rank whose other coordinates are far larger: in units of
// those, nothing would be left of its own.
void largeCoordinatesBeyondARankDoNotDisturbIt() {
    Head head(17, 50);
    head.basis(40);
    Factor& right = head.bases[0];
    for (int k = 20; k < right.rows; k++) {
        for (int j = 0; j < right.width; j++) {
            right.put_code(k, j, bits_of(right.unscaled(k, j) * 1e12f));
        }
    }
    right.pack();
    right.view.operand = 0;
    head.group(0, 40, 300, INT8).group(0, 20, 300, INT8).group(0, 40, 300, INT4, GR_SCALE_BF16, true);
    head.group(0, 16, 40, INT4).group(0, 17, 40, INT8, GR_SCALE_F32, true).group(0, 20, 40, BF16);
    head.build();
    const std::vector<float> hidden = head.hidden(9);
    std::vector<float> first;
    for (int blocks : {1, 8}) {
        for (int n : {2, 8}) {
            Query q(head, hidden);
            q.n = n;
            q.blocks = blocks;
            q.logits = true;
            q.run();
            if (first.empty()) {
                first = q.all;
                check_logits(q, "large beyond the rank");
            }
            GR_CHECK(memcmp(first.data(), q.all.data(), first.size() * 4) == 0, "%d blocks, n %d", blocks, n);
        }
    }
}

// States so small or large that units of digits come near the ends of binary32.
void sizesOfStatesChangeNoDigit() {
    Head head(18, 40, false);
    head.basis(33).group(0, 33, 70, INT8).group(0, 20, 40, INT4, GR_SCALE_BF16, true).dense(9, INT8).build();
    const std::vector<float> plain = head.hidden(2);
    for (int exponent : {-113, -90, 60, 100}) {
        std::vector<float> hidden = plain;
        for (float& x : hidden) {
            x = ldexpf(x, exponent);
        }
        Query q(head, hidden);
        q.logits = true;
        q.run();
        check_logits(q, "sizes");
    }
}

// One number of a state far above the others takes no digits that they need.
void outliersOfStatesDisturbNoLogit() {
    Head head = every_layout();
    head.build();
    std::vector<float> hidden = head.hidden(3);
    for (int s = 0; s < 3; s++) {
        hidden[s * head.columns + 7 * s] *= s == 0 ? 30.0f : s == 1 ? 1e3f : 1e5f;
    }
    Query q(head, hidden);
    q.n = 4;
    q.logits = true;
    q.run();
    check_logits(q, "outliers");
}

void blocksWithoutTilesCountForNothing() {
    Head head(13, 20, false);
    head.basis(20).group(0, 20, 300, INT8).zero(2).build();
    Query few(head, head.hidden(3));
    few.blocks = 1;
    few.logits = true;
    few.run();
    check_logits(few, "one block");
    Query many(head, few.hidden);
    many.blocks = 13;
    many.logits = true;
    many.run();
    check_found(many, "more blocks than tiles");
    const GrPartial& empty = many.partial[0];
    GR_CHECK(empty.sum == 0 && empty.best == 0 && empty.token == -1 && empty.broken == 0);
}

void largeAndRuledOutLogitsAreSummed() {
    Head head(14, 24);
    head.basis(24).group(0, 24, 310, INT8).group(0, 7, 40, BF16).zero(5).build();
    const std::vector<float> plain = head.hidden(5);
    for (int kind = 0; kind < 4; kind++) {
        std::vector<float> hidden = plain;
        for (GroupOfHead& g : head.groups) {
            for (size_t i = 0; i < g.bias.size(); i++) {
                const bool out = g.tokens[i] % 97 != 5;
                g.bias[i] = kind == 0 ? 0 : kind > 1 && !out ? 1 : kind == 3 ? -INFINITY : -1e30f;
            }
        }
        for (float& x : hidden) {
            x *= kind == 0 ? 2000 : 1;
        }
        Query q(head, hidden);
        q.logits = true;
        q.keys = true;
        q.questions[0].sum_scale = 0.25f;
        q.questions[1].sum_scale = 1e30f;
        q.questions[2].sum_scale = 1e-30f;
        q.run();
        check_found(q, "extreme");
    }
}

// Several questions a state, in any order of states, some with tokens that are not open.
void questionsHaveTheirOwnTokens() {
    Head head = every_layout();
    head.build();
    const std::vector<float> hidden = head.hidden(6);
    Query plain(head, hidden);
    plain.logits = true;
    plain.run();
    std::vector<std::vector<uint32_t>> sets;
    for (unsigned one_in : {1u, 2u, 50u, 100000u}) {
        sets.push_back(random_set(head.random, head.vocabulary, one_in));
    }
    for (int n : {2, 4, 8}) {
        Query q(head, hidden);
        q.n = n;
        q.keys = true;
        q.logits = true;
        q.questions.clear();
        for (int i = 0; i < 21; i++) {
            GrQuestion question = question_of((i * 5 + 3) % 6);
            question.open = i % 5 == 4 ? nullptr : sets[i % 5].data();
            question.sum_scale = i % 3 == 0 ? 0.5f : 1;
            q.questions.push_back(question);
        }
        q.run();
        for (int i = 0; i < q.count(); i++) {
            for (int token = 0; token < head.vocabulary; token++) {
                const float wanted = plain.logit(q.questions[i].state, token);
                GR_CHECK(!q.open(i, token) || bits_of(q.logit(i, token)) == bits_of(wanted), "question %d", i);
            }
        }
        check_found(q, "several questions");
    }
}

void logitsAreCapped() {
    Head head = every_layout();
    head.build();
    Query plain(head, head.hidden(3));
    plain.logits = true;
    plain.run();
    Query q(head, plain.hidden);
    q.logits = true;
    q.keys = true;
    q.cap = 1.5f;
    q.run();
    check_found(q, "capped");
    for (int s = 0; s < q.states; s++) {
        for (int token = 0; token < head.vocabulary; token++) {
            const double wanted = 1.5 * tanh(static_cast<double>(plain.logit(s, token)) / 1.5);
            GR_CHECK(fabs(q.logit(s, token) - wanted) <= 4e-7 * fabs(wanted), "state %d, token %d", s, token);
        }
    }
}

}  // namespace

int main() {
    everyLayoutAndBatchMatchesDouble();
    chunksOfOperandsChangeNoBit();
    wideProjectionsMatchDouble();
    largeCoordinatesBeyondARankDoNotDisturbIt();
    sizesOfStatesChangeNoDigit();
    outliersOfStatesDisturbNoLogit();
    blocksWithoutTilesCountForNothing();
    largeAndRuledOutLogitsAreSummed();
    questionsHaveTheirOwnTokens();
    logitsAreCapped();
    return 0;
}
