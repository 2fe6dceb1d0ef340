// The kernels that put two softmaxes side by side under emulation, against plain loops in double.
#include "groupreduce/training.h"

#include <string.h>

#include <algorithm>
#include <vector>

#include "../emulator/emulator.h"
#include "check.h"

namespace {

using gr::emulator::launch;
using namespace gr::test;

// Logits of both heads over a vocabulary in ragged tiles, compressed ones by place.
struct Heads {
    static constexpr int STRIDE = 150, STATES = 11;
    int tokens;
    std::vector<int> tiles;
    std::vector<float> dense_bias, compressed_bias;
    std::vector<int32_t> order, place_of;
    std::vector<std::vector<float>> dense, compressed;  // of every tile

    Heads(Random& random, const std::vector<int>& tiles) : tiles(tiles) {
        tokens = 0;
        for (int count : tiles) {
            for (int i = 0; i < count; i++) {
                order.push_back(tokens + i);
            }
            for (int i = count - 1; i > 0; i--) {
                std::swap(order[tokens + i], order[tokens + static_cast<int>(random.below(i + 1))]);
            }
            tokens += count;
            dense.emplace_back(STATES * STRIDE);
            compressed.emplace_back(STATES * STRIDE);
            for (float& z : dense.back()) {
                z = 4 * random.gaussian();
            }
            for (float& z : compressed.back()) {
                z = 4 * random.gaussian();
            }
        }
        place_of.resize(tokens);
        for (int place = 0; place < tokens; place++) {
            place_of[order[place]] = place;
            dense_bias.push_back(random.gaussian());
            compressed_bias.push_back(random.gaussian());
        }
    }

    int first(size_t tile) const {
        int sum = 0;
        for (size_t t = 0; t < tile; t++) {
            sum += tiles[t];
        }
        return sum;
    }

    GrPairTile parameters(size_t tile, bool biased) {
        return {dense[tile].data(),
                compressed[tile].data(),
                biased ? dense_bias.data() : nullptr,
                biased ? compressed_bias.data() : nullptr,
                order.data(),
                first(tile),
                tiles[tile],
                STRIDE,
                STATES};
    }

    size_t tile_of(int token) const {
        size_t tile = 0;
        while (token >= first(tile) + tiles[tile]) {
            tile++;
        }
        return tile;
    }

    float x(int state, int token, bool biased) const {
        const size_t tile = tile_of(token);
        return dense[tile][state * STRIDE + token - first(tile)] + (biased ? dense_bias[token] : 0);
    }

    float y(int state, int token, bool biased) const {
        const size_t tile = tile_of(token);
        return compressed[tile][state * STRIDE + place_of[token] - first(tile)] + (biased ? compressed_bias[token] : 0);
    }
};

void near(double expected, double actual, double tolerance, const char* what) {
    GR_CHECK(fabs(expected - actual) <= tolerance, "%s: %.9g, not %.9g", what, actual, expected);
}

void pair(const std::vector<int>& tiles, int threads, bool biased) {
    Random random(100 + threads);
    Heads heads(random, tiles);
    std::vector<GrPairState> running(Heads::STATES);
    std::vector<int32_t> targets, target_places;
    for (int state = 0; state < Heads::STATES; state++) {
        targets.push_back(static_cast<int32_t>(random.below(heads.tokens)));
        target_places.push_back(heads.place_of[targets.back()]);
    }
    std::vector<float> dense_target(Heads::STATES), compressed_target(Heads::STATES);
    for (size_t t = 0; t < tiles.size(); t++) {
        launch("gr_pair_softmax", Heads::STATES, 1, threads, 0,
               GrPairSoftmaxParams{heads.parameters(t, biased), running.data(), targets.data(), target_places.data(),
                                   dense_target.data(), compressed_target.data(), t == 0});
    }
    const Heads before = heads;
    std::vector<std::vector<double>> gradient(Heads::STATES, std::vector<double>(heads.tokens));
    for (int state = 0; state < Heads::STATES; state++) {
        double dense = 0, compressed = 0, gap = 0;
        for (int i = 0; i < heads.tokens; i++) {
            dense += exp(heads.x(state, i, biased));
            compressed += exp(heads.y(state, i, biased));
        }
        for (int i = 0; i < heads.tokens; i++) {
            const double p = exp(heads.x(state, i, biased)) / dense, q = exp(heads.y(state, i, biased)) / compressed;
            gap += p * (static_cast<double>(heads.x(state, i, biased)) - heads.y(state, i, biased));
            gradient[state][i] = (q - p) / Heads::STATES;
        }
        const GrPairState& found = running[state];
        near(log(dense), found.dense_max + log(found.dense_sum), 1e-6, "dense log-sum-exp");
        near(log(compressed), found.compressed_max + log(found.compressed_sum), 1e-6, "compressed log-sum-exp");
        near(gap, found.gap / found.dense_sum, 1e-5, "expected gap");
        GR_CHECK(dense_target[state] == heads.x(state, targets[state], biased), "dense target");
        GR_CHECK(compressed_target[state] == heads.y(state, targets[state], biased), "compressed target");
    }
    for (size_t t = 0; t < tiles.size(); t++) {
        launch("gr_pair_gradient", blocks(tiles[t], 128), blocks(Heads::STATES, GR_PAIR_STATES), 128, 0,
               GrPairGradientParams{heads.parameters(t, biased), running.data(), 1.0f / Heads::STATES});
    }
    GR_CHECK(heads.dense == before.dense, "dense logits stay");
    for (int state = 0; state < Heads::STATES; state++) {
        for (int i = 0; i < heads.tokens; i++) {
            near(gradient[state][i], heads.y(state, i, false), 2e-7, "gradient");
        }
        const size_t last = tiles.size() - 1;
        for (int i = tiles[last]; i < Heads::STRIDE; i++) {
            const int n = state * Heads::STRIDE + i;
            GR_CHECK(heads.compressed[last][n] == before.compressed[last][n], "beyond the tile");
        }
    }
}

// The states in two parts, as a step of many states gives them.
void bias_steps() {
    Random random(7);
    const int tokens = 200, place = 60, count = 133, stride = 140, states = 9;
    std::vector<int32_t> order(tokens);
    for (int i = 0; i < tokens; i++) {
        order[i] = tokens - 1 - i;
    }
    std::vector<float> gradient(states * stride), sums(count);
    std::vector<float> values(tokens), first(tokens), second(tokens), stored(tokens, 5);
    for (float& b : values) {
        b = random.gaussian();
    }
    for (float& g : gradient) {
        g = 0.01f * random.gaussian();
    }
    const std::vector<float> start = values;
    const float length = 0.3f * 0.02f / 0.1f, second_scale = 100;
    const int part = 4;
    const GrTrainedBias bias = {values.data(), first.data(), second.data(), stored.data(), length, second_scale};
    GrTrainingBiasParams params = {gradient.data(), sums.data(), order.data(), bias, place, count, stride, part, 1, 0};
    launch("gr_training_bias", blocks(count, 128), 1, 128, 0, params);
    GR_CHECK(values == start, "moved before all states were seen");
    params.gradient = gradient.data() + part * stride;
    params.states = states - part;
    params.begin = 0;
    params.finish = 1;
    launch("gr_training_bias", blocks(count, 128), 1, 128, 0, params);
    for (int i = 0; i < tokens; i++) {
        const int token = order[i];
        if (i < place || i >= place + count) {
            GR_CHECK(values[token] == start[token] && stored[token] == 5, "place %d is not of this tile", i);
            continue;
        }
        double sum = 0;
        for (int state = 0; state < states; state++) {
            sum += gradient[state * stride + i - place];
        }
        // The first step of Adam goes by the sign alone.
        near(start[token] - 0.3 * 0.02 * (sum > 0 ? 1 : -1), values[token], 1e-5, "bias");
        GR_CHECK(stored[token] == bf16(values[token]), "what is stored of the bias");
    }
}

// Logits with many ties.
void top(const std::vector<int>& tiles, int k, int threads, bool by_place) {
    Random random(1000 + k);
    Heads heads(random, tiles);
    for (std::vector<float>& z : heads.dense) {
        for (float& value : z) {
            value = rintf(value) / 2;
        }
    }
    std::vector<uint64_t> best(Heads::STATES * k), now(best.size(), 77), candidates(Heads::STATES * Heads::STRIDE);
    int seen = 0;
    for (size_t t = 0; t < tiles.size(); t++) {
        launch("gr_pair_top", Heads::STATES, 1, threads, 0,
               GrPairTopParams{heads.dense[t].data(), k % 2 == 0 ? heads.dense_bias.data() : nullptr,
                               by_place ? heads.order.data() : nullptr, best.data(), now.data(), candidates.data(),
                               seen, tiles[t], Heads::STRIDE, k, std::min(k, seen)});
        std::swap(best, now);
        seen += tiles[t];
    }
    for (int state = 0; state < Heads::STATES; state++) {
        std::vector<uint64_t> expected;
        for (int place = 0; place < heads.tokens; place++) {
            const size_t t = heads.tile_of(place);
            const int token = by_place ? heads.order[place] : place;
            const float logit = heads.dense[t][state * Heads::STRIDE + place - heads.first(t)];
            expected.push_back(plain_key(k % 2 == 0 ? logit + heads.dense_bias[token] : logit, token));
        }
        std::sort(expected.rbegin(), expected.rend());
        expected.resize(k);
        std::vector<uint64_t> actual(best.begin() + state * k, best.begin() + (state + 1) * k);
        std::sort(actual.rbegin(), actual.rend());
        GR_CHECK(actual == expected, "the best %d of state %d", k, state);
    }
}

}  // namespace

int main() {
    pair({1}, 32, true);
    pair({150, 3, 33, 1, 120}, 32, false);
    pair({150, 3, 33, 1, 120}, 64, true);
    pair({150, 149, 150}, 512, true);
    bias_steps();
    for (int k : {1, 2, 10, 150, 160, 307}) {
        top({150, 3, 33, 1, 120}, k, 64, false);
        top({150, 3, 33, 1, 120}, k, 32, true);
    }
    top({140}, 140, 512, true);
    puts("two softmaxes side by side: passed");
    return 0;
}
