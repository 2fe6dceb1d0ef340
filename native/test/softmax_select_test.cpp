// gr_select_places, gr_select_sorted, gr_rescore and gr_target: against a sort, and bit by bit against the pass.
#include "softmax_head.h"

using namespace gr::test;

namespace {

// Keys of several states, ready for the kernels; `levels` different logits, 0 for as many as there are.
std::vector<uint64_t> random_keys(Random& random, int states, int n, unsigned levels, int none) {
    std::vector<uint64_t> keys;
    for (int s = 0; s < states; s++) {
        for (int i = 0; i < n; i++) {
            const float logit = levels == 0 ? 20 * random.gaussian() : static_cast<float>(random.below(levels)) - 1;
            keys.push_back(i % (none + 1) != 0 && none > 0 ? 0 : plain_key(logit, (i * 7919) % n * 3));
        }
    }
    return keys;
}

void check_selection(const std::vector<uint64_t>& keys, int states, int n, int k) {
    const size_t size = (states * k);
    std::vector<int32_t> places(size + 1, -7), tokens(size + 1, -7);
    std::vector<float> logits(size + 1, -777);
    const GrSelectParams p{nullptr, keys.data(), places.data(), tokens.data(), logits.data(), n, k};
    gr::emulator::launch("gr_select_places", states, 1, 512, 0, p);
    gr::emulator::launch("gr_select_sorted", states, 1, 512, 0, p);
    GR_CHECK(places.back() == -7 && tokens.back() == -7 && logits.back() == -777);
    for (int s = 0; s < states; s++) {
        const uint64_t* first = keys.data() + s * n;
        std::vector<uint64_t> sorted(first, first + n);
        std::sort(sorted.rbegin(), sorted.rend());
        std::sort(places.begin() + s * k, places.begin() + (s + 1) * k);
        int at = s * k;
        for (int i = 0; i < n; i++) {
            if (first[i] >= sorted[k - 1]) {
                GR_CHECK(places[at] == i, "%d of %d, state %d, place %d", k, n, s, at - s * k);
                at++;
            }
        }
        for (int i = 0; i < k; i++) {
            const size_t to = (s * k + i);
            GR_CHECK(plain_key(logits[to], tokens[to]) == sorted[i], "%d of %d, state %d, place %d", k, n, s, i);
        }
    }
}

void selectionsAreThoseOfASort() {
    Random random(31);
    for (int n : {1, 2, 31, 512, 513, 3000}) {
        for (unsigned levels : {0u, 1u, 3u}) {
            const std::vector<uint64_t> keys = random_keys(random, 2, n, levels, 0);
            for (int k : {1, 2, 10, 128, 129, 511, 600, 1024}) {
                if (k <= n) {
                    check_selection(keys, 2, n, k);
                }
            }
        }
    }
    check_selection(random_keys(random, 1, 3000, 0, 2), 1, 3000, 1000);
    check_selection(random_keys(random, 1, 3000, 1, 99), 1, 3000, 30);
    check_selection(random_keys(random, 1, 40000, 5, 0), 1, 40000, 77);
    // Keys only in a few shares, more of them than a shortlist holds, and about as many as it holds.
    for (int n : {511, 512, 513, 700, 9000}) {
        for (int k : {1, 5, 100}) {
            std::vector<uint64_t> keys(40000, 0);
            for (int i = 0; i < n; i++) {
                keys[(i / 8 * 512 + i % 8 + i / 640 * 8) % 40000] = plain_key(random.gaussian(), i);
            }
            check_selection(keys, 1, 40000, k);
        }
    }
}

Head some_head(bool exact) {
    Head head(32, 70, true, exact);
    head.basis(70).basis(33, exact ? F32 : INT8);
    head.group(0, 70, 700, INT8, GR_SCALE_BF16).group(0, 17, 300, INT4).group(1, 33, 290, BF16);
    head.group(0, 50, 100, F32).group(1, 33, 90, FALLING, GR_SCALE_LOG8, true);
    head.dense(60, INT8, GR_SCALE_F32, true).dense(9, BF16).zero(300).build();
    return head;
}

// Wide rows in every layout: operands come in chunks.
Head wide_head() {
    Head head(33, 300);
    head.basis(290, BF16);
    for (int codec = F32; codec < CODECS; codec++) {
        head.group(0, 290 - 17 * codec, 40, codec, GR_SCALE_BF16, codec == INT8).dense(30, codec);
    }
    head.zero(20).build();
    return head;
}

void theBestTokensOfTheBestTilesAreTheBest() {
    for (bool exact : {false, true}) {
        Head head = some_head(exact);
        Query q(head, head.hidden(9));
        q.keys = true;
        q.logits = true;
        const std::vector<uint32_t> some = random_set(head.random, head.vocabulary, 3);
        const std::vector<uint32_t> few = random_set(head.random, head.vocabulary, 400);
        for (int s = 0; s < q.states; s++) {
            q.questions[s].listed = s == 3 ? 0 : s == 4 ? 1 : s == 5 ? 3 : s == 6 ? 200 : 1024;
            q.questions[s].open = s == 2 ? some.data() : s == 8 ? few.data() : nullptr;
        }
        q.run();
        const int tiles = static_cast<int>(q.tiles.size());
        for (int wanted : {1, 2, 5, 50, 700, 701}) {
            const int k = std::min(wanted, tiles);
            const float* kept = wanted % 2 == 0 ? nullptr : q.all.data();
            std::vector<int32_t> places(q.states * k, -9), tokens(q.states * wanted, -7);
            std::vector<float> logits(tokens.size());
            std::vector<uint64_t> keys(q.states * k * 256, 0xA5A5A5A5);
            const GrSelectParams first{q.questions.data(), q.tile_keys.data(), places.data(), nullptr, nullptr, tiles,
                                       k};
            gr::emulator::launch("gr_select_places", q.count(), 1, 512, 0, first);
            const GrRescoreParams again{q.inputs(), q.questions.data(), q.tiles.data(), places.data(),
                                        kept,       keys.data(),        k,                 head.vocabulary};
            gr::emulator::launch("gr_rescore", k, q.count(), 256, 0, again);
            const GrSelectParams last{q.questions.data(), keys.data(), nullptr, tokens.data(),
                                      logits.data(),      256 * k,     wanted};
            gr::emulator::launch("gr_select_sorted", q.count(), 1, 512, 0, last);
            for (int s = 0; s < q.count(); s++) {
                std::vector<uint64_t> sorted;
                for (int token = 0; token < head.vocabulary; token++) {
                    if (q.open(s, token)) {
                        sorted.push_back(plain_key(q.logit(s, token), token));
                    }
                }
                std::sort(sorted.rbegin(), sorted.rend());
                const int listed = q.questions[s].listed;
                for (int i = 0; i < wanted; i++) {
                    const size_t at = s * wanted + i;
                    if (listed < 2 || i >= std::min(listed, wanted)) {
                        GR_CHECK(tokens[at] == -7, "top %d, question %d: written beyond its list", wanted, s);
                    } else if (i >= static_cast<int>(sorted.size())) {
                        GR_CHECK(tokens[at] == -1 && logits[at] != logits[at], "top %d, question %d", wanted, s);
                    } else {
                        GR_CHECK(plain_key(logits[at], tokens[at]) == sorted[i],
                                 "exact %d, top %d, question %d, place %d", exact, wanted, s, i);
                    }
                }
            }
        }
    }
}

void targetsHaveTheBitsOfThePass(Head head) {
    const std::vector<float> hidden = head.hidden(19);
    Query q(head, hidden);
    q.n = 8;
    q.cap = static_cast<float>(head.columns % 4);
    q.logits = true;
    q.run();
    for (int round = 0; round < 6; round++) {
        std::vector<GrTarget> targets;
        for (int i = 0; i < 2 * q.states; i++) {
            const int32_t token = static_cast<int32_t>(head.random.below(head.vocabulary));
            targets.push_back({i % 9 == 8 ? -1 : i * 7 % q.states, token});
        }
        std::vector<float> logits(targets.size() + 1, -777);
        const GrTargetParams p{q.inputs(),     head.group_of.data(), head.slot_of.data(),
                               targets.data(), logits.data(),        2 * q.states};
        gr::emulator::launch("gr_target", 2 * q.states, 1, 256, 0, p);
        GR_CHECK(logits.back() == -777);
        for (int i = 0; i < 2 * q.states; i++) {
            const auto [state, token] = targets[i];
            const float wanted = state < 0 ? -777 : q.logit(state, token);
            GR_CHECK(bits_of(logits[i]) == bits_of(wanted), "state %d, token %d", state, token);
        }
    }
}

}  // namespace

int main() {
    selectionsAreThoseOfASort();
    theBestTokensOfTheBestTilesAreTheBest();
    targetsHaveTheBitsOfThePass(some_head(false));
    targetsHaveTheBitsOfThePass(wide_head());
    return 0;
}
