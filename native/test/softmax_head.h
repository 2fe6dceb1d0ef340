// A random head, the queries of its kernels, and the same in double.
#pragma once

#include <algorithm>
#include <functional>

#include "softmax_case.h"

namespace gr::test {

class Head {
public:
    Head(unsigned long long seed, int columns, bool with_bias = true, bool exact = false)
        : random(seed), columns(columns), with_bias(with_bias), exact(exact) {}

    Random random;
    int columns;
    bool with_bias, exact;
    std::vector<Factor> bases;
    std::vector<GroupOfHead> groups;
    int vocabulary = 0, directions = 0;
    std::vector<GrPacked> group_views, right_views;
    std::vector<GrTile> tiles, right_tiles;
    std::vector<uint8_t> group_of;
    std::vector<int32_t> slot_of, basis_of;

    Head& basis(int rank, int codec = GR_F32, bool blocks = false) {
        const float size = static_cast<float>(1 / sqrt(columns));
        bases.push_back(random_factor(random, codec, rank, columns, GR_SCALE_BF16, blocks, size, exact));
        bases.back().view.operand = directions;
        directions += (rank + 31) / 32 * 32;
        return *this;
    }

    Head& group(int basis, int rank, int rows, int codec, int format = GR_SCALE_F32, bool blocks = false) {
        const float size = basis < 0 ? static_cast<float>(1 / sqrt(columns)) : 1;
        Factor left = random_factor(random, codec, rows, rank, format, blocks, exact ? 1 : size, exact);
        groups.push_back({std::move(left), basis, {}, {}});
        vocabulary += rows;
        return *this;
    }

    Head& dense(int rows, int codec, int format = GR_SCALE_F32, bool blocks = false) {
        return group(-1, columns, rows, codec, format, blocks);
    }

    Head& zero(int rows) { return group(-2, 0, rows, GR_F32); }

    // Shuffles tokens over groups, ascending within each, and lays out tiles.
    Head& build() {
        std::vector<int> member;
        for (size_t g = 0; g < groups.size(); g++) {
            member.insert(member.end(), groups[g].left.rows, static_cast<int>(g));
        }
        for (size_t i = member.size(); i > 1; i--) {
            std::swap(member[i - 1], member[random.below(i)]);
        }
        for (size_t token = 0; token < member.size(); token++) {
            GroupOfHead& g = groups[member[token]];
            group_of.push_back(static_cast<uint8_t>(member[token]));
            slot_of.push_back(static_cast<int32_t>(g.tokens.size()));
            g.tokens.push_back(static_cast<int32_t>(token));
            g.bias.push_back(exact ? static_cast<float>(static_cast<int>(random.below(5)) - 2)
                                   : 0.5f * random.gaussian());
        }
        for (size_t g = 0; g < groups.size(); g++) {
            basis_of.push_back(groups[g].basis < 0 ? -1 : groups[g].basis);
            for (int strip = 0; strip < groups[g].left.strips(); strip += 8) {
                tiles.push_back({static_cast<int32_t>(g), strip, std::min(8, groups[g].left.strips() - strip)});
            }
        }
        for (size_t b = 0; b < bases.size(); b++) {
            right_views.push_back(bases[b].view);
            for (int strip = 0; strip < bases[b].strips(); strip++) {
                right_tiles.push_back({static_cast<int32_t>(b), strip, 1});
            }
        }
        return views();
    }

    Head& views() {
        group_views.clear();
        for (GroupOfHead& g : groups) {
            GrPacked view = g.left.view;
            view.operand = g.basis < 0 ? -1 : bases[g.basis].view.operand;
            view.tokens = g.tokens.data();
            view.bias = with_bias ? g.bias.data() : nullptr;
            group_views.push_back(view);
        }
        return *this;
    }

    // Logit of a token and the magnitude of what it sums up, in double.
    std::pair<double, double> logit(const float* h, int token) const {
        const GroupOfHead& g = groups[group_of[token]];
        const int slot = slot_of[token];
        double sum = 0, magnitude = 0;
        for (int k = 0; k < g.left.width; k++) {
            double z = 0, size = 0;
            if (g.basis < 0) {
                z = h[k];
                size = fabs(z);
            } else {
                z = coordinates[g.basis][k];
                size = magnitudes[g.basis][k];
            }
            sum += g.left.number(slot, k) * z;
            magnitude += fabs(g.left.number(slot, k)) * size;
        }
        const double bias = with_bias ? g.bias[slot] : 0;
        return {sum + bias, (magnitude + fabs(bias)) * 0x1p-24 * (4 + sqrt(g.left.width) + sqrt(columns))};
    }

    // Makes ready for logits of this state.
    void project(const float* h) {
        coordinates.clear();
        magnitudes.clear();
        for (const Factor& b : bases) {
            coordinates.emplace_back(b.rows, 0.0);
            magnitudes.emplace_back(b.rows, 0.0);
            for (int d = 0; d < b.rows; d++) {
                for (int j = 0; j < columns; j++) {
                    const double product = b.number(d, j) * static_cast<double>(h[j]);
                    coordinates.back()[d] += product;
                    magnitudes.back()[d] += fabs(product);
                }
            }
        }
    }

    std::vector<std::vector<double>> coordinates, magnitudes;

    std::vector<float> hidden(int states) {
        std::vector<float> h(states * columns);
        for (float& x : h) {
            x = exact ? static_cast<float>(static_cast<int>(random.below(3)) - 1) : random.gaussian();
        }
        return h;
    }

    int most_slices() const {
        int most = 1;
        for (const GrPacked& g : group_views) {
            most = std::max(most, static_cast<int>(g.slices));
        }
        return most;
    }
};

// One pass over a head and its merging; what is to be asked for is set before run.
struct Query {
    Query(Head& head, const std::vector<float>& hidden)
        : head(head), hidden(hidden), states(static_cast<int>(hidden.size()) / head.columns) {}

    Head& head;
    std::vector<float> hidden;
    int states, n = 1, blocks = 3, chunk = 0;
    bool keys = false, logits = false;
    std::vector<uint64_t> noise;
    std::vector<float> shift, floor;
    double noise_scale = 1;
    float softmax_scale = 1;
    // Found.
    std::vector<float> z, all;
    std::vector<GrPartial> partial;
    std::vector<uint64_t> tile_keys, best;
    std::vector<double> log_sum_exp;
    std::vector<int32_t> drawn, broken;

    template <class T>
    static T* or_null(std::vector<T>& v) {
        return v.empty() ? nullptr : v.data();
    }

    GrInputs inputs() const {
        return {head.group_views.data(), hidden.data(), z.data(), log8_scales().data(), head.columns, head.directions};
    }

    Query& project() {
        z.assign(states * head.directions + 1, NAN);
        GrProjectParams p{head.right_views.data(),
                          head.right_tiles.data(),
                          hidden.data(),
                          z.data(),
                          log8_scales().data(),
                          states,
                          head.columns,
                          head.directions};
        if (!head.right_tiles.empty()) {
            emulator::launch("gr_project", head.right_tiles.size(), (states + 7) / 8, 256, 0, p);
        }
        return *this;
    }

    Query& run() {
        if (z.empty()) {
            project();
        }
        const int count = static_cast<int>(head.tiles.size());
        std::vector<int32_t> first_tile;
        for (int b = 0; b <= blocks; b++) {
            first_tile.push_back(count * b / blocks);
        }
        partial.resize(states * blocks);
        memset(static_cast<void*>(partial.data()), 0xA5, partial.size() * sizeof(GrPartial));
        tile_keys.assign(keys ? states * count : 0, 0xA5A5A5A5);
        all.assign(logits ? states * head.vocabulary + 1 : 0, -777.0f);
        GrSoftmaxParams p{};
        p.inputs = inputs();
        p.tiles = head.tiles.data();
        p.first_tile = first_tile.data();
        p.partial = partial.data();
        p.tile_keys = or_null(tile_keys);
        p.logits = or_null(all);
        p.draw = {or_null(noise), or_null(shift), or_null(floor), noise_scale};
        p.softmax_scale = softmax_scale;
        p.states = states;
        p.tile_count = count;
        p.vocabulary = head.vocabulary;
        p.chunk_slices = chunk == 0 ? head.most_slices() : chunk;
        const char* name = n == 1 ? "gr_softmax_1" : n == 2 ? "gr_softmax_2" : n == 4 ? "gr_softmax_4" : "gr_softmax_8";
        emulator::launch(name, blocks, (states + 8 * n - 1) / (8 * n), 256, p.chunk_slices * n * 768, p);
        if (logits) {
            GR_CHECK(all.back() == -777.0f);
        }
        return finish();
    }

    Query& finish() {
        log_sum_exp.assign(states, -1.0);
        best.assign(states, 1);
        drawn.assign(states, -7);
        broken.assign(states, -7);
        GrFinishParams p{partial.data(), z.data(), log_sum_exp.data(), best.data(), drawn.data(),
                         broken.data(),  blocks,   head.directions};
        emulator::launch("gr_finish", states, 1, 128, 0, p);
        return *this;
    }

    float logit(int state, int token) const { return all[state * head.vocabulary + token]; }
};

}  // namespace gr::test
