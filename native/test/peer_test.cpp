// gr_dense_scan and gr_dense_keys against double: parts that merge to the log-sum-exp, the best key of every chunk, and
// the keys of chosen chunks in the order of logits, ties to the lower token.
#include <algorithm>
#include <vector>

#include "../emulator/emulator.h"
#include "check.h"
#include "groupreduce/peer.h"

namespace {

// Whether the logit of token a stands before that of token b.
bool before(const float* logits, int a, int b) { return logits[a] > logits[b] || (logits[a] == logits[b] && a < b); }

void check_state(int s, const float* y, int vocabulary, const GrPartial* partial, const uint64_t* best,
                 const uint64_t* key) {
    const int chunks = (vocabulary + GR_DENSE_CHUNK - 1) / GR_DENSE_CHUNK;
    const float top = *std::max_element(y, y + vocabulary);
    double expected = 0, found = 0;
    for (int i = 0; i < vocabulary; i++) {
        expected += exp(static_cast<double>(y[i]) - top);
    }
    for (int c = 0; c < chunks; c++) {
        GR_CHECK(partial[c].broken == 0, "state %d, chunk %d", s, c);
        found += partial[c].sum * exp(static_cast<double>(partial[c].max) - top);
        const int end = std::min(vocabulary, (c + 1) * GR_DENSE_CHUNK);
        int likeliest = c * GR_DENSE_CHUNK;
        for (int i = likeliest; i < end; i++) {
            likeliest = before(y, i, likeliest) ? i : likeliest;
        }
        GR_CHECK(best[c] == key[likeliest] && partial[c].best == best[c], "state %d, chunk %d", s, c);
    }
    GR_CHECK(fabs(log(found) - log(expected)) < 2e-6, "state %d: %g instead of %g", s, log(found), log(expected));
    std::vector<int> tokens(vocabulary);
    for (int i = 0; i < vocabulary; i++) {
        tokens[i] = i;
    }
    std::sort(tokens.begin(), tokens.end(), [&](int a, int b) { return key[a] > key[b]; });
    for (int place = 1; place < vocabulary; place++) {
        GR_CHECK(before(y, tokens[place - 1], tokens[place]), "state %d, place %d", s, place);
    }
    for (int i = vocabulary; i < chunks * GR_DENSE_CHUNK; i++) {
        GR_CHECK(key[i] == 0, "state %d, beyond the end at %d", s, i);
    }
}

void check(int states, int vocabulary, bool ties) {
    gr::test::Random random(static_cast<unsigned long long>(states * 1000 + vocabulary));
    std::vector<float> logits(static_cast<size_t>(states) * vocabulary);
    for (float& logit : logits) {
        logit = ties ? static_cast<float>(random.below(5)) - 2 : 8 * random.gaussian();
    }
    const int chunks = (vocabulary + GR_DENSE_CHUNK - 1) / GR_DENSE_CHUNK;
    std::vector<GrPartial> partial(static_cast<size_t>(states) * chunks);
    std::vector<uint64_t> best(partial.size());
    const GrDenseScanParams scan{logits.data(), partial.data(), best.data(), states, vocabulary};
    gr::emulator::launch("gr_dense_scan", chunks, states, 256, 0, scan);
    // All chunks, the last first.
    std::vector<int32_t> places(partial.size());
    for (int c = 0; c < states * chunks; c++) {
        places[c] = chunks - 1 - c % chunks;
    }
    std::vector<uint64_t> chosen(places.size() * GR_DENSE_CHUNK, 99);
    const GrDenseKeysParams keys{logits.data(), places.data(), chosen.data(), vocabulary, chunks};
    gr::emulator::launch("gr_dense_keys", chunks, states, 256, 0, keys);
    for (int s = 0; s < states; s++) {
        std::vector<uint64_t> key(static_cast<size_t>(chunks) * GR_DENSE_CHUNK);
        for (int c = 0; c < chunks; c++) {
            const uint64_t* from = &chosen[(static_cast<size_t>(s) * chunks + c) * GR_DENSE_CHUNK];
            std::copy(from, from + GR_DENSE_CHUNK, &key[static_cast<size_t>(places[c]) * GR_DENSE_CHUNK]);
        }
        const float* y = &logits[static_cast<size_t>(s) * vocabulary];
        const size_t first = static_cast<size_t>(s) * chunks;
        check_state(s, y, vocabulary, &partial[first], &best[first], key.data());
    }
}

// The k best of the whole lie in the k chunks of largest maxima.
void check_list(int states, int vocabulary, int k, bool ties) {
    gr::test::Random random(static_cast<unsigned long long>(vocabulary + k));
    std::vector<float> logits(static_cast<size_t>(states) * vocabulary);
    for (float& logit : logits) {
        logit = ties ? static_cast<float>(random.below(5)) - 2 : 8 * random.gaussian();
    }
    const int chunks = (vocabulary + GR_DENSE_CHUNK - 1) / GR_DENSE_CHUNK;
    const int chosen = std::min(k, chunks);
    const size_t rows = static_cast<size_t>(states);
    std::vector<GrPartial> partial(rows * chunks);
    std::vector<uint64_t> best(rows * chunks), keys(rows * chosen * GR_DENSE_CHUNK);
    std::vector<int32_t> places(rows * chosen), tokens(rows * k);
    std::vector<float> found(rows * k);
    gr::emulator::launch("gr_dense_scan", chunks, states, 256, 0,
                         GrDenseScanParams{logits.data(), partial.data(), best.data(), states, vocabulary});
    gr::emulator::launch("gr_select_places", states, 1, 512, 0,
                         GrSelectParams{best.data(), places.data(), nullptr, nullptr, chunks, chosen});
    gr::emulator::launch("gr_dense_keys", chosen, states, 256, 0,
                         GrDenseKeysParams{logits.data(), places.data(), keys.data(), vocabulary, chosen});
    gr::emulator::launch("gr_select_sorted", states, 1, 512, 0,
                         GrSelectParams{keys.data(), nullptr, tokens.data(), found.data(), chosen * GR_DENSE_CHUNK, k});
    for (int s = 0; s < states; s++) {
        const float* y = &logits[static_cast<size_t>(s) * vocabulary];
        std::vector<int> sorted(vocabulary);
        for (int i = 0; i < vocabulary; i++) {
            sorted[i] = i;
        }
        std::sort(sorted.begin(), sorted.end(), [&](int a, int b) { return before(y, a, b); });
        for (int i = 0; i < k; i++) {
            const size_t at = static_cast<size_t>(s) * k + i;
            GR_CHECK(tokens[at] == sorted[i], "state %d, place %d: %d, not %d", s, i, tokens[at], sorted[i]);
            GR_CHECK(found[at] == y[sorted[i]], "state %d, place %d: not its logit", s, i);
        }
    }
}

// Logits that are not numbers, some or all of a state's, break that state alone.
void check_broken(bool every) {
    std::vector<float> logits(2 * 300, 0.5f);
    std::fill_n(logits.begin(), every ? 300 : 7, NAN);
    std::vector<uint64_t> best(2);
    std::vector<GrPartial> partial(2);
    gr::emulator::launch("gr_dense_scan", 1, 2, 256, 0,
                         GrDenseScanParams{logits.data(), partial.data(), best.data(), 2, 300});
    GR_CHECK(partial[0].broken == 1 && partial[1].broken == 0, "broken: %d, %d", partial[0].broken, partial[1].broken);
}

}  // namespace

int main() {
    check(1, 1, false);
    check(3, 1000, false);
    check(1, 1024, false);
    check(2, 5000, true);
    check_list(3, 5000, 3, false);
    check_list(2, 3000, 50, true);
    check_broken(false);
    check_broken(true);
    return 0;
}
