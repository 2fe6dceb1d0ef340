// gr_dense_scan and gr_dense_keys against double: parts that merge to the log-sum-exp, the best key of every chunk, and
// the keys of chosen chunks in the order of logits, ties to the lower token.
#include <algorithm>
#include <numeric>
#include <vector>

#include "../emulator/emulator.h"
#include "check.h"
#include "groupreduce/peer.h"

namespace {

using gr::emulator::launch;
using gr::test::plain_key;
using std::vector;

// Logits of some states, and what a scan finds of them.
struct Scanned {
    int states, vocabulary, chunks;
    vector<float> logits;
    vector<GrPartial> partial;
    vector<uint64_t> best;

    Scanned(int states, int vocabulary, bool ties)
        : states(states),
          vocabulary(vocabulary),
          chunks(gr::test::blocks(vocabulary, GR_DENSE_CHUNK)),
          logits(states * vocabulary),
          partial(states * chunks),
          best(states * chunks) {
        gr::test::Random random(static_cast<unsigned long long>(states * 1000 + vocabulary));
        for (float& logit : logits) {
            logit = ties ? static_cast<float>(random.below(5)) - 2 : 8 * random.gaussian();
        }
        scan();
    }

    void scan() {
        launch("gr_dense_scan", chunks, states, 256, 0,
               GrDenseScanParams{logits.data(), partial.data(), best.data(), vocabulary});
    }

    // Of `chosen` chunks a state.
    vector<uint64_t> keys(const vector<int32_t>& places, int chosen) const {
        vector<uint64_t> keys(places.size() * GR_DENSE_CHUNK, 99);
        launch("gr_dense_keys", chosen, states, 256, 0,
               GrDenseKeysParams{logits.data(), places.data(), keys.data(), vocabulary, chosen});
        return keys;
    }

    // The logit of a token of a state, -infinity beyond the end.
    float logit(int state, int token) const {
        return token < vocabulary ? logits[state * vocabulary + token] : -INFINITY;
    }

    // All tokens of a state, the best first.
    vector<int> sorted(int state) const {
        vector<int> tokens(vocabulary);
        std::iota(tokens.begin(), tokens.end(), 0);
        std::stable_sort(tokens.begin(), tokens.end(), [&](int a, int b) { return logit(state, a) > logit(state, b); });
        return tokens;
    }
};

void check(int states, int vocabulary, bool ties) {
    const Scanned scanned(states, vocabulary, ties);
    const int chunks = scanned.chunks;
    vector<int32_t> places(states * chunks);  // all chunks, the last first
    for (int c = 0; c < states * chunks; c++) {
        places[c] = chunks - 1 - c % chunks;
    }
    const vector<uint64_t> keys = scanned.keys(places, chunks);
    for (int s = 0; s < states; s++) {
        const int best = scanned.sorted(s)[0];
        double expected = 0, found = 0;
        for (int c = 0; c < chunks; c++) {
            const GrPartial& part = scanned.partial[s * chunks + c];
            uint64_t most = 0;
            for (int i = 0; i < GR_DENSE_CHUNK; i++) {
                const int token = c * GR_DENSE_CHUNK + i;
                const float y = scanned.logit(s, token);
                const uint64_t key = token < vocabulary ? plain_key(y, token) : 0;
                GR_CHECK(keys[(s * chunks + chunks - 1 - c) * GR_DENSE_CHUNK + i] == key, "state %d, token %d", s,
                         token);
                most = std::max(most, key);
                expected += exp(static_cast<double>(y) - scanned.logit(s, best));
            }
            GR_CHECK(part.broken == 0 && part.best == most, "state %d, chunk %d", s, c);
            GR_CHECK(scanned.best[s * chunks + c] == most, "state %d, chunk %d", s, c);
            const int most_token = static_cast<int>(~static_cast<uint32_t>(most));
            found += part.sum * exp(static_cast<double>(scanned.logit(s, most_token)) - scanned.logit(s, best));
        }
        GR_CHECK(fabs(log(found) - log(expected)) < 2e-6, "state %d: %g instead of %g", s, log(found), log(expected));
    }
}

// The k best of the whole lie in the k chunks of largest maxima.
void check_list(int states, int vocabulary, int k, bool ties) {
    const Scanned scanned(states, vocabulary, ties);
    const int chosen = std::min(k, scanned.chunks);
    vector<int32_t> places(states * chosen), tokens(states * k);
    vector<float> found(states * k);
    launch("gr_select_places", states, 1, 512, 0,
           GrSelectParams{nullptr, scanned.best.data(), places.data(), nullptr, nullptr, scanned.chunks, chosen});
    const vector<uint64_t> keys = scanned.keys(places, chosen);
    launch("gr_select_sorted", states, 1, 512, 0,
           GrSelectParams{nullptr, keys.data(), nullptr, tokens.data(), found.data(), chosen * GR_DENSE_CHUNK, k});
    for (int s = 0; s < states; s++) {
        const vector<int> sorted = scanned.sorted(s);
        for (int i = 0; i < k; i++) {
            const int at = s * k + i;
            GR_CHECK(tokens[at] == sorted[i], "state %d, place %d: %d, not %d", s, i, tokens[at], sorted[i]);
            GR_CHECK(found[at] == scanned.logit(s, sorted[i]), "state %d, place %d: not its logit", s, i);
        }
    }
}

// Logits that are not numbers, some or all of a state's, break that state alone.
void check_broken(int broken) {
    Scanned scanned(2, 300, true);
    std::fill_n(scanned.logits.begin(), broken, NAN);
    scanned.scan();
    GR_CHECK(scanned.partial[0].broken == 1 && scanned.partial[1].broken == 0, "%d not numbers", broken);
}

}  // namespace

int main() {
    check(1, 1, false);
    check(3, 1000, false);
    check(1, 1024, false);
    check(2, 5000, true);
    check_list(3, 5000, 3, false);
    check_list(2, 3000, 50, true);
    check_broken(7);
    check_broken(300);
    return 0;
}
