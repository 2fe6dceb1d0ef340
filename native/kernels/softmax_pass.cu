// The fused softmax: one pass over the packed head.
//
//   logit_i = scale_i sum_k code_ik z_k + bias_i        for all tokens i and 8 N states
//   max, sum exp(logit - max), best token, drawn token  of a block's tokens
//   the best key of a tile, all logits by token         where they are asked for
//
// Shapes: codes and z as in softmax.h; GrPartial states x blocks. Bytes: all codes, scales, biases and tokens once a
// block of 8 N states (blocks that run together over the same tiles share them in the second-level cache), operands
// from shared memory. Never materialised: the states x vocabulary logits (unless asked for), decoded factors,
// probabilities, noise. Twins: io.groupreduce.internal.reference.ReferenceInference,
// io.groupreduce.vector.inference.HeadPass with RunningSoftmax and NoiseSearch.
#include "softmax_running.h"

namespace gr::softmax {
namespace {

// What the warps of a block share. Keys are double-buffered, so that one barrier a tile is enough.
template <int N>
struct BlockMemory {
    Key keys[2][WARPS][8 * N];
    double drawn_score[WARPS][8 * N];
    unsigned drawn_token[WARPS][8 * N];
    float sums[WARPS][8 * N];
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
    int first_state;
    float factor;

    // Whether what comes after the sums of a tile is loaded before they are computed. With eight columns of states
    // there are no registers to hold it, and there is much to compute.
    static constexpr bool EARLY = N < 8;

    GR_DEVICE int state(int number) const { return first_state + number / 2 * 8 + lane() % 4 * 2 + number % 2; }

    // This warp's strip of a tile, if there is one.
    GR_DEVICE Strip strip_of(int tile) const {
        if (tile >= end || warp() >= p.tiles[tile].strips) {
            return no_strip();
        }
        const GrPacked& group = p.inputs.groups[p.tiles[tile].group];
        return open_strip(group, p.tiles[tile].first_strip + warp(), group.slices);
    }

    // Splits the operands of some slices, from an even one on, into shared memory: all 256 threads. States beyond the
    // last have zeros. N divides the number of warps, so a thread stays with one state; it has the numbers of two units
    // of two slices in flight.
    GR_DEVICE void load_panel(const GrPacked& group, int first, int slices) const {
        constexpr int AT_ONCE = 4;
        constexpr int STRIDE = 2 * WARPS / N;
        const bool dense = group.operand < 0, halves = takes_halves(group);
        const int j = warp() % N;
        const int column = first_state + j * 8 + lane() / 4;
        const bool present = column < p.states;
        const float* numbers = dense ? p.inputs.hidden : p.inputs.z + group.operand;
        numbers += present ? static_cast<int64_t>(column) * (dense ? p.inputs.columns : p.inputs.directions) : 0;
        const PlainNumbers row{numbers, present ? group.columns : 0};
        sync_block();
        for (int slice = warp() / N * 2; slice < slices; slice += AT_ONCE / 2 * STRIDE) {
            float x[AT_ONCE][4];
            GR_UNROLL
            for (int i = 0; i < AT_ONCE; i++) {
                row.load(x[i], first + slice + i / 2 * STRIDE + i % 2);
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
        for (int first = 0; first < group.slices; first += chunk) {
            if (!resident.serves(group)) {
                load_panel(group, first, min(chunk, group.slices - first));
                resident = {group.operand, chunk == group.slices ? group.columns : 0, takes_halves(group)};
            }
            const SharedOperands<N> operands{panel, first};
            for (; step < strip.steps() && step << strip.codec() < first + chunk; step++) {
                const bool last = step + 1 == strip.steps();
                add_step(sums, ring, strip, step, scales, p.inputs.log8, operands,
                         pieces(last ? ahead : strip, last ? 0 : step + 1));
            }
        }
        if (strip.slices() == 0) {
            load_pieces(ring, pieces(ahead, 0));
        }
    }

    // The best key of a tile over the block's warps.
    GR_DEVICE void tile_key(Sums<N>& sums, const Rows& rows, int tile) const {
        Key key[2 * N];
        GR_UNROLL
        for (int q = 0; q < 2 * N; q++) {
            const float top = largest(sums, q / 2, q % 2);
            const unsigned token = token_of(top, sums, q / 2, q % 2, rows);
            key[q] = token == NO_TOKEN ? 0 : logit_key(top, token);
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
        const int column = static_cast<int>(threadIdx.x);
        if (column < 8 * N && first_state + column < p.states) {
            Key best = keys[0][column];
            for (int w = 1; w < WARPS; w++) {
                best = max(best, keys[w][column]);
            }
            p.tile_keys[static_cast<int64_t>(first_state + column) * p.tile_count + tile] = best;
        }
    }

    // Writes the logits, draws among them: what is wanted now and then, so that a loop over columns keeps it small.
    GR_DEVICE void write_and_draw(Sums<N>& sums, const Rows& rows) const {
        float logits[2 * N][4];
        GR_UNROLL
        for (int i = 0; i < 8 * N; i++) {
            logits[i / 4][i % 4] = sums.of(i % 4, i / 8, i / 4 % 2);
        }
        const int columns = p.states - first_state > 1 ? 2 * N : 1;
        for (int q = 0; q < columns; q++) {
            const int s = state(q);
            const float four[4] = {logits[q][0], logits[q][1], logits[q][2], logits[q][3]};
            if (p.logits != nullptr && s < p.states) {
                float* to = p.logits + static_cast<int64_t>(s) * p.vocabulary;
                GR_UNROLL
                for (int i = 0; i < 4; i++) {
                    if (rows.token[i] != NO_TOKEN) {
                        to[rows.token[i]] = four[i];
                    }
                }
            }
            if (p.draw.noise != nullptr) {
                draw(four, rows, s);
            }
        }
    }

    GR_DEVICE void draw(const float (&four)[4], const Rows& rows, int s) const {
        const bool wanted = s < p.states;
        Draw draw{0, 0, negative_infinity(), p.draw.noise_scale};
        if (wanted) {
            draw.key = p.draw.noise[s];
            draw.shift = p.draw.shift == nullptr ? 0 : p.draw.shift[s];
            draw.floor = p.draw.floor == nullptr ? negative_infinity() : p.draw.floor[s];
        }
        double& score = memory.drawn_score[warp()][s - first_state];
        unsigned& token = memory.drawn_token[warp()][s - first_state];
        const Drawn before{score, token};
        const Drawn now = draw_among(four, rows, draw, wanted, before);
        sync_warp();
        if (lane() < 4 && now.token != before.token) {
            score = now.score;
            token = now.token;
        }
        sync_warp();
    }

    // Merges what the threads of a block found, lanes first, then warps.
    GR_DEVICE void write_partials(Running<N>& running) const {
        GR_UNROLL
        for (int q = 0; q < 2 * N; q++) {
            const unsigned token = memory.maxima.token[q * BLOCK + threadIdx.x];
            float most = memory.maxima.max[q * BLOCK + threadIdx.x], sum = running.sum[q];
            Key best = token == NO_TOKEN ? 0 : logit_key(most, token);
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
                memory.keys[0][warp()][state(q) - first_state] = best;
                memory.sums[warp()][state(q) - first_state] = sum;
            }
        }
        sync_block();
        const int column = static_cast<int>(threadIdx.x);
        if (column < 8 * N && first_state + column < p.states) {
            write_partial(column);
        }
    }

    GR_DEVICE void write_partial(int column) const {
        float most = negative_infinity(), sum = 0;
        Key best = 0;
        Drawn drawn{-static_cast<double>(INFINITY), NO_TOKEN};
        for (int w = 0; w < WARPS; w++) {
            const Key key = memory.keys[0][w][column];
            const float max_of_warp = key == 0 ? negative_infinity() : key_logit(key);
            const float both = fmaxf(most, max_of_warp);
            sum = sum * fade(most, both, factor) + memory.sums[w][column] * fade(max_of_warp, both, factor);
            most = both;
            best = max(best, key);
            drawn.take(memory.drawn_score[w][column], memory.drawn_token[w][column]);
        }
        GrPartial& partial = p.partial[static_cast<int64_t>(first_state + column) * gridDim.x + block];
        partial.max = most * p.softmax_scale;
        partial.sum = sum;
        partial.best = best;
        partial.score = drawn.score;
        partial.token = static_cast<int32_t>(drawn.token);
        partial.broken = sum == sum ? 0 : 1;
    }

    GR_DEVICE void run() const {
        Running<N> running;
        running.start(memory.maxima);
        for (int i = static_cast<int>(threadIdx.x); i < WARPS * 8 * N; i += BLOCK) {
            memory.drawn_score[i / (8 * N)][i % (8 * N)] = -static_cast<double>(INFINITY);
            memory.drawn_token[i / (8 * N)][i % (8 * N)] = NO_TOKEN;
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
            finish_logits(sums, rows);
            GR_UNROLL
            for (int q = 0; q < 2 * N; q++) {
                // Columns without a state are left out where that is so for all lanes.
                if (first_state + q / 2 * 8 + q % 2 < p.states && present) {
                    running.add(sums, q / 2, q % 2, rows, factor, memory.maxima);
                }
            }
            sync_warp();  // lanes parted over their maxima, and the products of the next tile take the whole warp
            if (p.tile_keys != nullptr) {
                tile_key(sums, rows, tile);
            }
            if (p.logits != nullptr || p.draw.noise != nullptr) {
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

template <int N>
GR_DEVICE void softmax_pass(const GrSoftmaxParams& p) {
    GR_DYNAMIC_SHARED(uint2, panel);
    GR_SHARED(BlockMemory<N>, memory, 1);
    // Blocks that start together take the same tiles for different states: the second-level cache serves all but one.
    const unsigned number = blockIdx.y * gridDim.x + blockIdx.x;
    const int block = static_cast<int>(number / gridDim.y);
    const int first_state = static_cast<int>(number % gridDim.y) * 8 * N;
    const Pass<N> pass{p, panel, memory[0], block, p.first_tile[block + 1], first_state, p.softmax_scale * LOG2_E};
    pass.run();
}

}  // namespace

GR_KERNEL(gr_softmax_1, GrSoftmaxParams, 256, 2) { softmax_pass<1>(p); }

GR_KERNEL(gr_softmax_2, GrSoftmaxParams, 256, 2) { softmax_pass<2>(p); }

GR_KERNEL(gr_softmax_4, GrSoftmaxParams, 256, 1) { softmax_pass<4>(p); }

GR_KERNEL(gr_softmax_8, GrSoftmaxParams, 256, 1) { softmax_pass<8>(p); }

}  // namespace gr::softmax
