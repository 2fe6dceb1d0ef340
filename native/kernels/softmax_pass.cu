// The fused softmax: one pass over the packed head.
//
//   logit_i = cap(scale_i sum_k code_ik z_k + bias_i)           for all tokens i and 8 N questions, each of a state
//   max, sum exp((logit - max) / T), best token, drawn token   of a block's open tokens
//   the best key of a tile, all logits by token                where they are asked for
//
// Shapes: codes and z as in softmax.h; GrPartial questions x blocks. Bytes: all codes, scales, biases and tokens once a
// block of 8 N questions (blocks that run together over the same tiles share them in the second-level cache), operands
// from shared memory, a bit a token and question where some are not open. Never materialised: the questions x
// vocabulary logits (unless asked for), decoded factors, probabilities, noise. Twins:
// io.groupreduce.internal.reference.ReferenceInference, io.groupreduce.vector.inference.HeadPass with RunningSoftmax
// and NoiseSearch.
#include "softmax_running.h"

namespace gr::softmax {
namespace {

// What the warps of a block share. Keys are double-buffered, so that one barrier a tile is enough.
template <int N>
struct BlockMemory {
    Key keys[2][WARPS][8 * N];
    DrawnOfWarp drawn[WARPS][8 * N];
    float factor[8 * N];  // what logits are multiplied by in the exponent of 2
    Maxima<N> maxima;
};

// The operands that shared memory holds: so many numbers from a place of z (or the hidden state) on, as halves or
// terms; 0 where they are in part.
struct Resident {
    int operand, columns;
    bool halves;

    // More columns than wanted do no harm, since codes are 0 there, unless they had a part in the unit of halves.
    GR_DEVICE bool serves(const GrPacked& group) const {
        return operand == group.operand && halves == takes_halves(group) &&
               (columns == group.columns || (columns > group.columns && !(halves && group.columns % 32 != 0)));
    }
};

template <int N>
struct Pass {
    const GrSoftmaxParams& p;
    uint2* panel;
    BlockMemory<N>& memory;
    int block;
    int end;  // of its tiles
    int first;  // question

    // Whether what comes after the sums of a tile is loaded before they are computed. With eight columns of states
    // there are no registers to hold it, and there is much to compute.
    static constexpr bool EARLY = N < 8;

    // Which question of the block is this number of the thread.
    GR_DEVICE int place(int number) const { return number / 2 * 8 + lane() % 4 * 2 + number % 2; }

    // This warp's strip of a tile, if there is one.
    GR_DEVICE Strip strip_of(int tile) const {
        if (tile >= end || warp() >= p.tiles[tile].strips) {
            return no_strip();
        }
        const GrPacked& group = p.inputs.groups[p.tiles[tile].group];
        return open_strip(group, p.tiles[tile].first_strip + warp(), group.slices);
    }

    // Splits the operands of some slices, from an even one on, into shared memory: all 256 threads. Questions beyond
    // the last have zeros. N divides the number of warps, so a thread stays with one question; it has the numbers of
    // two units of two slices in flight.
    GR_DEVICE void load_panel(const GrPacked& group, int first_slice, int slices) const {
        constexpr int AT_ONCE = 4;
        constexpr int STRIDE = 2 * WARPS / N;
        const bool dense = group.operand < 0, halves = takes_halves(group);
        const int j = warp() % N;
        const int question = first + j * 8 + lane() / 4;
        const bool present = question < p.count;
        const float* numbers = dense ? p.inputs.hidden : p.inputs.z + group.operand;
        if (present) {
            const int64_t width = dense ? p.inputs.columns : p.inputs.directions;
            numbers += p.questions[question].state * width;
        }
        const PlainNumbers row{numbers, present ? group.columns : 0};
        sync_block();
        for (int slice = warp() / N * 2; slice < slices; slice += AT_ONCE / 2 * STRIDE) {
            float x[AT_ONCE][4];
            GR_UNROLL
            for (int i = 0; i < AT_ONCE; i++) {
                row.load(x[i], first_slice + slice + i / 2 * STRIDE + i % 2);
            }
            HalfScale scale;
            GR_UNROLL
            for (int i = 0; i < AT_ONCE; i++) {
                const int number = slice + i / 2 * STRIDE + i % 2;
                uint2* to = panel + (number * N + j) * 3 * WARP + lane();
                if (halves) {
                    if (i % 2 == 0) {
                        scale = half_scale(largest_of_unit(x[i], x[i + 1]));
                    }
                    if (number < slices) {
                        const Halves pair = split(x[i], scale.up);
                        to[0] = pair.high;
                        to[WARP] = pair.low;
                        if (i % 2 == 0 && lane() % 4 == 0) {
                            downs(to - lane())[lane() / 4] = scale.down;
                        }
                    }
                } else if (number < slices) {
                    const Terms terms = split(x[i]);
                    to[0] = terms.high;
                    to[WARP] = terms.mid;
                    to[2 * WARP] = terms.low;
                }
            }
        }
        sync_block();
    }

    // The sums of this warp's strip of a tile; the whole block loads operands. Leaves the first pieces of what is ahead
    // in the ring.
    GR_DEVICE void add_tile(Sums<N>& sums, uint4 (&ring)[4], const GrPacked& group, const Strip& strip,
                            const Strip& ahead, const BlockScales& scales, Resident& resident) const {
        const int chunk = group.slices <= p.chunk_slices ? group.slices : p.chunk_slices & ~7;
        int step = 0;
        for (int slice = 0; slice < group.slices; slice += chunk) {
            if (!resident.serves(group)) {
                load_panel(group, slice, min(chunk, group.slices - slice));
                resident = {group.operand, chunk == group.slices ? group.columns : 0, takes_halves(group)};
            }
            const SharedOperands<N> operands{panel, slice};
            for (; step < strip.steps() && step << strip.codec() < slice + chunk; step++) {
                const bool last = step + 1 == strip.steps();
                add_step(sums, ring, strip, step, scales, p.inputs.log8, operands,
                         pieces(last ? ahead : strip, last ? 0 : step + 1));
            }
        }
        if (strip.slices() == 0) {
            load_pieces(ring, pieces(ahead, 0));
        }
    }

    // Logits of tokens that are not open become -infinity.
    GR_DEVICE void mask(Sums<N>& sums, const Rows& rows) const {
        GR_UNROLL
        for (int q = 0; q < 2 * N; q++) {
            const int question = first + place(q);
            const uint32_t* open = question < p.count ? p.questions[question].open : nullptr;
            if (open != nullptr) {
                GR_UNROLL
                for (int i = 0; i < 4; i++) {
                    if (rows.token[i] != NO_TOKEN && !is_open(open, rows.token[i])) {
                        sums.of(i, q / 2, q % 2) = negative_infinity();
                    }
                }
            }
        }
    }

    // The best key of a tile over the block's warps.
    GR_DEVICE void tile_key(Sums<N>& sums, const Rows& rows, int tile) const {
        Key key[2 * N];
        GR_UNROLL
        for (int q = 0; q < 2 * N; q++) {
            const float top = largest(sums, q / 2, q % 2);
            key[q] = open_key(top, token_of(top, sums, q / 2, q % 2, rows));
        }
        const SpreadKeys<N> spread(key);
        Key(&keys)[WARPS][8 * N] = memory.keys[tile & 1];
        GR_UNROLL
        for (int i = 0; i < SpreadKeys<N>::HELD; i++) {
            if (spread.owned) {
                keys[warp()][spread.column(i)] = key[i];
            }
        }
        sync_block();
        const int at = static_cast<int>(threadIdx.x);
        if (at < 8 * N && first + at < p.count) {
            Key best = keys[0][at];
            for (int w = 1; w < WARPS; w++) {
                best = max(best, keys[w][at]);
            }
            p.tile_keys[static_cast<int64_t>(first + at) * p.tile_count + tile] = best;
        }
    }

    // Writes the logits, draws among them: what is wanted now and then, so that a loop over columns keeps it small.
    GR_DEVICE void write_and_draw(Sums<N>& sums, const Rows& rows) const {
        float logits[2 * N][4];
        GR_UNROLL
        for (int i = 0; i < 8 * N; i++) {
            logits[i / 4][i % 4] = sums.of(i % 4, i / 8, i / 4 % 2);
        }
        const int numbers = p.count - first > 1 ? 2 * N : 1;
        for (int q = 0; q < numbers; q++) {
            const int question = first + place(q);
            const float four[4] = {logits[q][0], logits[q][1], logits[q][2], logits[q][3]};
            if (p.logits != nullptr && question < p.count) {
                float* to = p.logits + static_cast<int64_t>(question) * p.vocabulary;
                GR_UNROLL
                for (int i = 0; i < 4; i++) {
                    if (rows.token[i] != NO_TOKEN) {
                        to[rows.token[i]] = four[i];
                    }
                }
            }
            if (p.drawn != 0) {
                draw(four, rows, place(q));
            }
        }
    }

    GR_DEVICE void draw(const float (&four)[4], const Rows& rows, int at) const {
        const Draw draw = first + at < p.count ? draw_of(p.questions[first + at]) : Draw{0, 1, false};
        DrawnOfWarp& best = memory.drawn[warp()][at];
        const DrawnOfWarp now = draw_among(four, rows, draw, best);
        sync_warp();
        if (lane() < 4 && now.token != best.token) {
            best = now;
        }
        sync_warp();
    }

    // Merges what the threads of a block found, lanes first, then warps. Sums take the place of the other keys.
    GR_DEVICE void write_partials(Running<N>& running) const {
        GR_UNROLL
        for (int q = 0; q < 2 * N; q++) {
            const float factor = memory.factor[place(q)];
            const unsigned token = memory.maxima.token[q * BLOCK + threadIdx.x];
            float most = memory.maxima.max[q * BLOCK + threadIdx.x], sum = running.sum[q];
            Key best = open_key(most, token);
            GR_UNROLL
            for (int lanes = 16; lanes >= 4; lanes /= 2) {
                best = max(best, shuffle_xor(best, lanes));
                const float other = shuffle_xor(most, lanes);
                const float other_sum = shuffle_xor(sum, lanes);
                const float both = fmaxf(most, other);
                sum = sum * fade(most, both, factor) + other_sum * fade(other, both, factor);
                most = both;
            }
            if (lane() < 4) {
                memory.keys[0][warp()][place(q)] = best;
                memory.keys[1][warp()][place(q)] = float_bits(sum);
            }
        }
        sync_block();
        const int at = static_cast<int>(threadIdx.x);
        if (at < 8 * N && first + at < p.count) {
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
            const Key key = memory.keys[0][w][at];
            const float max_of_warp = best_logit(key);
            const float both = fmaxf(most, max_of_warp);
            const float sum_of_warp = bits_float(static_cast<unsigned>(memory.keys[1][w][at]));
            sum = sum * fade(most, both, factor) + sum_of_warp * fade(max_of_warp, both, factor);
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

    GR_DEVICE void run() const {
        Running<N> running;
        running.start(memory.maxima);
        for (int i = static_cast<int>(threadIdx.x); i < WARPS * 8 * N; i += BLOCK) {
            memory.drawn[i / (8 * N)][i % (8 * N)] = nothing_drawn();
        }
        const int own = static_cast<int>(threadIdx.x);
        if (own < 8 * N) {
            memory.factor[own] = first + own < p.count ? p.questions[first + own].sum_scale * LOG2_E : 1;
        }
        sync_block();
        int tile = p.first_tile[block];
        Strip strip = strip_of(tile);
        uint4 ring[4] = {};
        load_pieces(ring, pieces(strip, 0));
        Resident resident{0, 0, false};
        for (; tile < end; tile++) {
            const GrPacked& group = p.inputs.groups[p.tiles[tile].group];
            const int number = p.tiles[tile].first_strip + warp();
            const bool present = warp() < p.tiles[tile].strips;
            RowOfLane row{NO_TOKEN, negative_infinity(), 0};
            Strip ahead = no_strip();
            if (EARLY) {
                row = present ? row_of_lane(group, number, p.inputs.log8) : row;
                ahead = strip_of(tile + 1);
            }
            Sums<N> sums;
            sums.clear();
            add_tile(sums, ring, group, strip, ahead, block_scales(group, number), resident);
            if (!EARLY) {
                row = present ? row_of_lane(group, number, p.inputs.log8) : row;
                ahead = strip_of(tile + 1);
                load_pieces(ring, pieces(ahead, 0));
            }
            const Rows rows = row.spread();
            finish_logits(sums, rows, p.inputs.cap);
            if (p.masked != 0) {
                mask(sums, rows);
            }
            GR_UNROLL
            for (int q = 0; q < 2 * N; q++) {
                // Columns without a question are left out where that is so for all lanes.
                if (first + q / 2 * 8 + q % 2 < p.count && present) {
                    running.add(sums, q / 2, q % 2, rows, memory.factor[place(q)], memory.maxima);
                }
            }
            sync_warp();  // lanes parted over their maxima, and the products of the next tile take the whole warp
            if (p.tile_keys != nullptr) {
                tile_key(sums, rows, tile);
            }
            if (p.logits != nullptr || p.drawn != 0) {
                write_and_draw(sums, rows);
            }
            strip = ahead;
        }
        if (p.tile_keys != nullptr) {
            sync_block();
        }
        write_partials(running);
    }
};

}  // namespace

// In no unnamed namespace: nvcc would name its shared memory after the checkout's folder.
template <int N>
GR_DEVICE void softmax_pass(const GrSoftmaxParams& p) {
    GR_DYNAMIC_SHARED(uint2, panel);
    GR_SHARED(BlockMemory<N>, memory, 1);
    // Blocks that start together take the same tiles for different questions: the second-level cache serves all but
    // one.
    const unsigned number = blockIdx.y * gridDim.x + blockIdx.x;
    const int block = static_cast<int>(number / gridDim.y);
    const int first = static_cast<int>(number % gridDim.y) * 8 * N;
    const Pass<N> pass{p, panel, memory[0], block, p.first_tile[block + 1], first};
    pass.run();
}

GR_KERNEL(gr_softmax_1, GrSoftmaxParams, 256, 2) { softmax_pass<1>(p); }

GR_KERNEL(gr_softmax_2, GrSoftmaxParams, 256, 2) { softmax_pass<2>(p); }

GR_KERNEL(gr_softmax_4, GrSoftmaxParams, 256, 1) { softmax_pass<4>(p); }

GR_KERNEL(gr_softmax_8, GrSoftmaxParams, 256, 1) { softmax_pass<8>(p); }

}  // namespace gr::softmax
