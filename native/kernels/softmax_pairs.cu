// Logits of chosen tokens or tiles, by the same sums in the same order as in gr_softmax_n, so that they are the same
// bits.
//
//   logit_i = scale_i sum_k code_ik z_k + bias_i
//
// Shapes: one token a state, or k tiles of 256 rows a state. Bytes: the packed strip of each token or of each tile, and
// the operand of its state; or 4 a row where the logits of the pass were kept. Never materialised: a decoded row.
// Twins: score and top of io.groupreduce.internal.reference.ReferenceInference.
#include "softmax_strip.h"

namespace gr::softmax {
namespace {

constexpr int TILE_ROWS = 256;
constexpr int PAIRS = 4;  // of a block of gr_target

// The logit of row `lane` of a strip for one state.
GR_DEVICE float strip_logit(const GrInputs& in, const GrPacked& group, int strip, int state) {
    // All columns are the same state, so a lane finds its own four rows; then each lane takes the one with its number.
    const float* numbers = group.operand < 0 ? in.hidden + static_cast<int64_t>(state) * in.columns
                                             : in.z + static_cast<int64_t>(state) * in.directions + group.operand;
    Sums<1> sums;
    sums.clear();
    add_strip(sums, open_strip(group, strip, group.slices), 0, block_scales(group, strip), in.log8,
              {numbers, group.columns});
    float mine = 0;
    GR_UNROLL
    for (int i = 0; i < 4; i++) {
        const float other = shuffle(sums.of(i, 0, 0), lane() % 8 * 4);
        mine = lane() / 8 == i ? other : mine;
    }
    const int row = strip * STRIP + lane();
    const float bias = group.bias == nullptr || row >= group.rows ? 0 : group.bias[row];
    return fma(mine, row_scale(group, row, in.log8), bias);
}

}  // namespace

// The logit of one token a state. One warp a pair computes the strip of 32 rows that the token is in.
GR_KERNEL(gr_target, GrTargetParams, 128) {
    const int state = static_cast<int>(blockIdx.x) * PAIRS + warp();
    if (state >= p.states) {
        return;
    }
    const int token = p.targets[state];
    const int slot = p.slot_of[token];
    const float logit = strip_logit(p.inputs, p.inputs.groups[p.group_of[token]], slot / STRIP, state);
    if (lane() == slot % STRIP) {
        p.logits[state] = logit;
    }
}

// The keys of all rows of the chosen tiles of a state: 256 a tile, 0 where there is no row.
GR_KERNEL(gr_rescore, GrRescoreParams, 256) {
    const int state = static_cast<int>(blockIdx.y);
    const int64_t place = static_cast<int64_t>(state) * p.k + blockIdx.x;
    const GrTile tile = p.tiles[p.places[place]];
    Key key = 0;
    if (warp() < tile.strips) {
        const GrPacked& group = p.inputs.groups[tile.group];
        const int strip = tile.first_strip + warp();
        const int row = strip * STRIP + lane();
        const float sum = p.logits == nullptr ? strip_logit(p.inputs, group, strip, state) : 0;
        if (row < group.rows) {
            const int token = group.tokens[row];
            const float logit =
                p.logits == nullptr ? sum : p.logits[static_cast<int64_t>(state) * p.vocabulary + token];
            key = logit_key(logit, static_cast<unsigned>(token));
        }
    }
    p.keys[place * TILE_ROWS + threadIdx.x] = key;
}

}  // namespace gr::softmax
