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
    std::vector<GrTile> right_tiles;
    std::vector<uint8_t> group_of;
    std::vector<int32_t> slot_of, basis_of;

    Head& basis(int rank, int codec = F32, bool blocks = false) {
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

    Head& zero(int rows) { return group(-2, 0, rows, F32); }

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

    // Bytes of operands of the widest group for kernels of n states.
    int panel_bytes(int n) const {
        int most = 0;
        for (const GrPacked& g : group_views) {
            const int of_block = g.form.bits <= 8 ? n / 2 * GR_DIGIT_BYTES : GR_TERM_BYTES;
            most = std::max(most, blocks(g.form.width, 32) * of_block);
        }
        return std::max(most, std::max(n / 2 * GR_DIGIT_BYTES, GR_TERM_BYTES));
    }
};

// What blocks of threads take, as Java plans it but with equal shares of strips:
// io.groupreduce.cuda.inference.TilePlan.
struct Plan {
    std::vector<GrSegment> segments;
    std::vector<int32_t> first_segment;
    std::vector<GrTile> tiles;

    Plan(const Head& head, int blocks_of_threads) {
        int all = 0;
        for (const GroupOfHead& g : head.groups) {
            all += g.left.strips();
        }
        for (int b = 0; b <= blocks_of_threads; b++) {
            first_segment.push_back(static_cast<int32_t>(segments.size()));
            int before = 0;
            for (size_t g = 0; b < blocks_of_threads && g < head.groups.size(); g++) {
                const int strips = head.groups[g].left.strips();
                const int from = std::max(all * b / blocks_of_threads - before, 0);
                const int to = std::min(all * (b + 1) / blocks_of_threads - before, strips);
                if (from < to) {
                    add({static_cast<int32_t>(g), from, to - from, static_cast<int32_t>(tiles.size())});
                }
                before += strips;
            }
        }
    }

    void add(const GrSegment& s) {
        segments.push_back(s);
        const int of_warp = blocks(blocks(s.strips, 8), 8);
        for (int w = 0; w < 8; w++) {
            for (int t = 0; t < of_warp; t++) {
                const int first = w * s.strips / 8 + 8 * t;
                const int strips = std::max(std::min((w + 1) * s.strips / 8 - first, 8), 0);
                tiles.push_back({s.group, s.first_strip + first, strips});
            }
        }
    }
};

// Of hidden states in gr_project.
constexpr int PROJECTION_BYTES = 16 * 1024;

// Of all tokens, with nothing listed or drawn.
inline GrQuestion question_of(int state) { return {nullptr, 0, 0, 1, state, 0, 0}; }

// A random set of tokens, and not empty.
inline std::vector<uint32_t> random_set(Random& random, int vocabulary, unsigned one_in) {
    std::vector<uint32_t> set((vocabulary + 31) / 32, 0);
    for (int token = 0; token < vocabulary; token++) {
        set[token / 32] |= static_cast<uint32_t>(random.below(one_in) == 0 ? 1 : 0) << token % 32;
    }
    const unsigned one = random.below(vocabulary);
    set[one / 32] |= 1u << one % 32;
    return set;
}

// One pass over a head and its merging; what is to be asked for is set before run: by default a question a state.
struct Query {
    Query(Head& head, const std::vector<float>& hidden)
        : head(head), hidden(hidden), states(static_cast<int>(hidden.size()) / head.columns) {
        for (int s = 0; s < states; s++) {
            questions.push_back(question_of(s));
        }
    }

    Head& head;
    std::vector<float> hidden;
    int states, n = 8, blocks = 3, panel = 0;  // bytes, 0 for all
    bool keys = false, logits = false;
    float cap = 0;
    std::vector<GrQuestion> questions;
    // Found.
    std::vector<float> z, all;
    std::vector<GrTile> tiles;
    std::vector<GrPartial> partial;
    std::vector<uint64_t> tile_keys;
    std::vector<GrAnswer> answers;

    template <class T>
    static T* or_null(std::vector<T>& v) {
        return v.empty() ? nullptr : v.data();
    }

    int count() const { return static_cast<int>(questions.size()); }

    GrInputs inputs() const {
        return {head.group_views.data(), hidden.data(), z.data(), log8_scales().data(),
                head.columns,            head.directions, cap};
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
                          head.directions,
                          PROJECTION_BYTES};
        if (!head.right_tiles.empty()) {
            emulator::launch("gr_project", head.right_tiles.size(), (states + 7) / 8, 256,
                             GR_RING_BYTES + PROJECTION_BYTES, p);
        }
        return *this;
    }

    Query& run() {
        if (z.empty()) {
            project();
        }
        const Plan plan(head, blocks);
        tiles = plan.tiles;
        partial.resize(count() * blocks);
        memset(static_cast<void*>(partial.data()), 0xA5, partial.size() * sizeof(GrPartial));
        tile_keys.assign(keys ? count() * tiles.size() : 0, 0xA5A5A5A5);
        all.assign(logits ? count() * head.vocabulary + 1 : 0, -777.0f);
        GrSoftmaxParams p{};
        p.inputs = inputs();
        p.questions = questions.data();
        p.segments = plan.segments.data();
        p.first_segment = plan.first_segment.data();
        p.partial = partial.data();
        p.tile_keys = or_null(tile_keys);
        p.logits = or_null(all);
        p.count = count();
        p.tile_count = static_cast<int32_t>(tiles.size());
        p.vocabulary = head.vocabulary;
        p.panel_bytes = panel == 0 ? head.panel_bytes(n) : panel;
        for (const GrQuestion& question : questions) {
            p.masked |= question.open != nullptr ? 1 : 0;
            p.drawn |= question.temperature > 0 ? 1 : 0;
        }
        const char* name = n == 2 ? "gr_softmax_2" : n == 4 ? "gr_softmax_4" : "gr_softmax_8";
        emulator::launch(name, blocks, (count() + n - 1) / n, 256, GR_RING_BYTES + p.panel_bytes, p);
        if (logits) {
            GR_CHECK(all.back() == -777.0f);
        }
        answers.assign(count(), {-1, 1, -7, -7});
        GrFinishParams last{questions.data(), partial.data(), z.data(), answers.data(), blocks, head.directions};
        emulator::launch("gr_finish", count(), 1, 128, 0, last);
        return *this;
    }

    float logit(int question, int token) const { return all[question * head.vocabulary + token]; }

    bool open(int question, int token) const {
        const uint32_t* set = questions[question].open;
        return set == nullptr || (set[token / 32] >> token % 32 & 1) != 0;
    }
};

inline float logit_of(uint64_t key) {
    const uint32_t bits = static_cast<uint32_t>(key >> 32);
    const uint32_t plain = bits & 0x80000000u ? bits & 0x7fffffffu : ~bits;
    float logit;
    memcpy(&logit, &plain, sizeof logit);
    return logit;
}

inline int token_of(uint64_t key) { return static_cast<int>(~static_cast<uint32_t>(key)); }

}  // namespace gr::test
