// The fused softmax: one pass over the packed head.
//
//   logit_i = cap(scale_i sum_k value_ik z_k + bias_i)          for all tokens i and n questions, each of a state
//   max, sum exp((logit - max) / T), best token, drawn token   of a block's open tokens
//   the best key of a tile, all logits by token                where they are asked for
//
// Shapes: packed numbers and z as in softmax.h; GrPartial questions x blocks. Bytes: all packed numbers, scales, biases
// and tokens once a block of n questions (blocks that run together over the same strips share them in the second-level
// cache), operands from shared memory, a bit a token and question where some are not open. Never materialised: the
// questions x vocabulary logits (unless asked for), decoded factors, probabilities, noise. Twins:
// io.groupreduce.internal.reference.ReferenceInference, io.groupreduce.vector.inference.HeadPass with RunningSoftmax
// and NoiseSearch.
#include "softmax_running.h"

namespace gr::softmax {
namespace {

constexpr int TILE_STRIPS = 8;

// What the warps of a block share. Keys and sums are for the end.
template <int S>
struct BlockMemory {
    OperandMemory<S> operands;
    Turn<S> turns[WARPS];
    Key keys[WARPS][S];
    float sums[WARPS][S];
    DrawnOfWarp drawn[WARPS][S];
    float factor[S];  // what logits are multiplied by in the exponent of 2
    unsigned tokens[S][BLOCK];
    TileBest best[S][BLOCK];
};

template <int S>
struct Pass {
    const GrSoftmaxParams& p;
    BlockMemory<S>& memory;
    Panel<S> panel;
    Ring ring;
    int block, first, questions;  // the first question, and how many
    bool bounded, every;          // logits are capped or some left out; all are taken once more
    Running running[S];

    GR_DEVICE Pass(const GrSoftmaxParams& p, BlockMemory<S>& memory, uint8_t* dynamic, int block, int first)
        : p(p),
          memory(memory),
          panel(reinterpret_cast<uint2*>(dynamic + GR_RING_BYTES), &memory.operands, p.panel_bytes),
          ring(dynamic + warp() * (GR_RING_BYTES / WARPS)),
          block(block),
          first(first),
          questions(min(S, p.count - first)),
          bounded(p.inputs.cap != 0 || p.masked != 0),
          every(p.logits != nullptr || p.drawn != 0) {}

    // The numbers that meet a group, of the state of a question.
    GR_DEVICE const float* numbers(const GrPacked& group, int s) const {
        if (s >= questions) {
            return nullptr;
        }
        const int64_t state = p.questions[first + s].state;
        return group.operand < 0 ? p.inputs.hidden + state * p.inputs.columns
                                 : p.inputs.z + state * p.inputs.directions + group.operand;
    }

    // Strips of one group; a group whose operands do not fit goes strip by strip, for all warps at once.
    GR_DEVICE void run(const GrSegment& segment) {
        const GrPacked& group = p.inputs.groups[segment.group];
        const GrRowForm& form = group.form;
        const RowShape shape(form);
        const RowsAhead rows(group, p.inputs.log8);
        const int blocks = blocks_of(form);
        const int chunk = min(blocks, panel.fitting(form));
        const int number = warp();
        const int own = number * segment.strips / WARPS, count = (number + 1) * segment.strips / WARPS - own;
        const int most = (segment.strips + WARPS - 1) / WARPS;
        const int tile = segment.first_tile + number * ((most + TILE_STRIPS - 1) / TILE_STRIPS);
        int strip = segment.first_strip + own;
        ring.start(group.codes + strip * group.strip_bytes, static_cast<int>(count * group.strip_bytes));
        GrRuns runs = clip(group.runs, 0, chunk);
        for (int i = 0; i < most; i++, strip++) {
            const Row row = i < count ? rows.of_lane(strip) : no_row();
            const BlockScales scales = rows.block_scales(strip);
            StripSums<S> sums;
            sums.clear();
            for (int at = 0; at < blocks; at += chunk) {
                if (i == 0 || chunk < blocks) {
                    panel.load(form, [&](int s) { return numbers(group, s); }, at, min(chunk, blocks - at));
                    runs = clip(group.runs, at, chunk);
                }
                if (i < count) {
                    add_blocks(sums, ring, shape, runs, panel, at, 0, min(chunk, blocks - at), scales);
                }
            }
            if (i < count) {
                float y[S];
                finish_sums(y, sums, shape, panel, scales, memory.turns[warp()]);
                finish(y, row);
            }
            if (p.tile_keys != nullptr && (i + 1 == most || i % TILE_STRIPS == TILE_STRIPS - 1)) {
                end_tile(tile + i / TILE_STRIPS);
            }
        }
    }

    // The sums of a strip become logits, which all that is wanted takes. What is wanted now and then goes over
    // questions in a loop, with logits in shared memory: that keeps it small.
    GR_DEVICE void finish(float (&y)[S], const Row& row) {
        GR_UNROLL
        for (int s = 0; s < S; s++) {
            y[s] = fma(y[s], row.scale, row.bias);
        }
        float* logits = memory.turns[warp()].memory + lane();  // this lane's, once all have taken their sums
        if (bounded || every) {
            sync_warp();
        }
        if (bounded) {
            put(logits, y);
            for (int s = 0; s < questions; s++) {
                logits[s * WARP] = masked(logits[s * WARP], row.token, s);
            }
            get(y, logits);
        }
        GR_UNROLL
        for (int s = 0; s < S; s++) {
            if (s < questions) {
                running[s].add(y[s], row.token, memory.factor[s], memory.tokens[s][threadIdx.x]);
                if (p.tile_keys != nullptr) {
                    memory.best[s][threadIdx.x].add(y[s], row.token);
                }
            }
        }
        if (every) {
            put(logits, y);
            for (int s = 0; s < questions; s++) {
                if (p.logits != nullptr && row.token != NO_TOKEN) {
                    p.logits[static_cast<int64_t>(first + s) * p.vocabulary + row.token] = logits[s * WARP];
                }
                if (p.drawn != 0) {
                    draw(logits[s * WARP], row.token, s);
                }
            }
        }
    }

    GR_DEVICE static void put(float* logits, const float (&y)[S]) {
        GR_UNROLL
        for (int s = 0; s < S; s++) {
            logits[s * WARP] = y[s];
        }
    }

    GR_DEVICE static void get(float (&y)[S], const float* logits) {
        GR_UNROLL
        for (int s = 0; s < S; s++) {
            y[s] = logits[s * WARP];
        }
    }

    // Logits of tokens that are not open become -infinity.
    GR_DEVICE float masked(float logit, unsigned token, int s) const {
        const float bounded = p.inputs.cap == 0 ? logit : capped(logit, p.inputs.cap);
        const bool open = p.masked == 0 || token == NO_TOKEN || is_open(p.questions[first + s].open, token);
        return open ? bounded : negative_infinity();
    }

    GR_DEVICE void draw(float logit, unsigned token, int s) const {
        DrawnOfWarp& kept = memory.drawn[warp()][s];
        const DrawnOfWarp now = draw_among(logit, token, draw_of(p.questions[first + s]), kept);
        sync_warp();
        if (lane() == 0) {
            kept = now;
        }
        sync_warp();
    }

    // The best key of this warp's tile.
    GR_DEVICE void end_tile(int tile) const {
        for (int s = 0; s < questions; s++) {
            TileBest& best = memory.best[s][threadIdx.x];
            const Key key = largest_of_warp(open_key(best.max, best.token));
            if (lane() == 0) {
                p.tile_keys[static_cast<int64_t>(first + s) * p.tile_count + tile] = key;
            }
            best = nothing_in_tile();
        }
    }

    GR_DEVICE static Key largest_of_warp(Key key) {
        return reduce_warp(key, [](Key a, Key b) { return max(a, b); });
    }

    // Merges what the lanes of a block found, then what its warps found.
    GR_DEVICE void write_partials() {
        GR_UNROLL
        for (int s = 0; s < S; s++) {
            const float factor = memory.factor[s];
            const Key key = largest_of_warp(running[s].key(memory.tokens[s][threadIdx.x]));
            const float most = key == 0 ? running[s].max : key_logit(key);
            const float sum = warp_sum(running[s].sum_or_nan() * fade(running[s].max, most, factor));
            if (lane() == 0) {
                memory.keys[warp()][s] = key;
                memory.sums[warp()][s] = sum;
            }
        }
        sync_block();
        const int at = static_cast<int>(threadIdx.x);
        if (at < questions) {
            write_partial(at);
        }
    }

    GR_DEVICE void write_partial(int at) const {
        const Draw draw = draw_of(p.questions[first + at]);
        const float factor = memory.factor[at];
        float most = negative_infinity(), sum = 0;
        Key best = 0;
        Drawn drawn = nothing_drawn().exact(draw);
        for (int w = 0; w < WARPS; w++) {
            const Key key = memory.keys[w][at];
            const float max_of_warp = best_logit(key);
            const float both = fmaxf(most, max_of_warp);
            sum = sum * fade(most, both, factor) + memory.sums[w][at] * fade(max_of_warp, both, factor);
            most = both;
            best = max(best, key);
            if (p.drawn != 0) {
                drawn.take(memory.drawn[w][at].exact(draw), draw.temperature);
            }
        }
        GrPartial& partial = p.partial[static_cast<int64_t>(first + at) * gridDim.x + block];
        partial.best = best;
        partial.sum = sum;
        partial.drawn = drawn.logit;
        partial.token = static_cast<int32_t>(drawn.token);
        partial.broken = sum == sum ? 0 : 1;
    }

    GR_DEVICE void run() {
        const int thread = static_cast<int>(threadIdx.x);
        if (thread < WARPS * S) {
            memory.drawn[thread / S][thread % S] = nothing_drawn();
        }
        if (thread < S) {
            memory.factor[thread] = thread < questions ? p.questions[first + thread].sum_scale * LOG2_E : 1;
        }
        GR_UNROLL
        for (int s = 0; s < S; s++) {
            memory.tokens[s][thread] = NO_TOKEN;
            memory.best[s][thread] = nothing_in_tile();
        }
        sync_block();
        const int end = p.first_segment[block + 1];
        for (int i = p.first_segment[block]; i < end; i++) {
            run(p.segments[i]);
        }
        write_partials();
    }
};

}  // namespace

// In no unnamed namespace: nvcc would name its shared memory after the checkout's folder.
template <int S>
GR_DEVICE void softmax_pass(const GrSoftmaxParams& p) {
    GR_DYNAMIC_SHARED(uint8_t, dynamic);
    GR_SHARED(BlockMemory<S>, memory, 1);
    // Blocks that start together take the same strips for different questions: the second-level cache serves all but
    // one.
    const unsigned number = blockIdx.y * gridDim.x + blockIdx.x;
    const int block = static_cast<int>(number / gridDim.y);
    const int first = static_cast<int>(number % gridDim.y) * S;
    Pass<S> pass(p, memory[0], dynamic, block, first);
    pass.run();
}

GR_KERNEL(gr_softmax_2, GrSoftmaxParams, 256, 2) { softmax_pass<2>(p); }

GR_KERNEL(gr_softmax_4, GrSoftmaxParams, 256, 2) { softmax_pass<4>(p); }

GR_KERNEL(gr_softmax_8, GrSoftmaxParams, 256, 2) { softmax_pass<8>(p); }

}  // namespace gr::softmax
