// Logits of chosen tokens or tiles, by the same sums in the same order as in gr_softmax_n, so that they are the same
// bits.
//
//   logit_i = cap(scale_i sum_k code_ik z_k + bias_i)
//
// Shapes: pairs of state and token, or k tiles of 256 rows a question. Bytes: the packed strip of each token or of each
// tile, and the operand of its state; or 4 a row where the logits of the pass were kept. Never materialised: a decoded
// row.
// Twin: io.groupreduce.internal.reference.ReferenceInference.
#include "softmax_strip.h"

namespace gr::softmax {
namespace {

constexpr int TILE_ROWS = 256;
constexpr int TARGETS = 4;  // of a block of gr_target

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
    const float logit = fma(mine, row_scale(group, row, in.log8), bias);
    return in.cap == 0 ? logit : capped(logit, in.cap);
}

}  // namespace

// The logit of one token of a state. One warp computes the strip of 32 rows that the token is in.
GR_KERNEL(gr_target, GrTargetParams, 128) {
    const int number = static_cast<int>(blockIdx.x) * TARGETS + warp();
    if (number >= p.count) {
        return;
    }
    const GrTarget target = p.targets[number];
    if (target.state < 0) {
        return;
    }
    const int slot = p.slot_of[target.token];
    const GrPacked& group = p.inputs.groups[p.group_of[target.token]];
    const float logit = strip_logit(p.inputs, group, slot / STRIP, target.state);
    if (lane() == slot % STRIP) {
        p.logits[number] = logit;
    }
}

// The keys of all rows of the chosen tiles of a question: 256 a tile, 0 where there is no row.
GR_KERNEL(gr_rescore, GrRescoreParams, 256) {
    const int number = static_cast<int>(blockIdx.y);
    const GrQuestion& question = p.questions[number];
    if (question.listed < 2) {
        return;
    }
    const int64_t place = static_cast<int64_t>(number) * p.k + blockIdx.x;
    const GrTile tile = p.places[place] < 0 ? GrTile{0, 0, 0} : p.tiles[p.places[place]];
    Key key = 0;
    if (warp() < tile.strips) {
        const GrPacked& group = p.inputs.groups[tile.group];
        const int strip = tile.first_strip + warp();
        const int row = strip * STRIP + lane();
        const float sum = p.logits == nullptr ? strip_logit(p.inputs, group, strip, question.state) : 0;
        const unsigned token = row < group.rows ? static_cast<unsigned>(group.tokens[row]) : NO_TOKEN;
        if (token != NO_TOKEN && is_open(question.open, token)) {
            key = open_key(p.logits == nullptr ? sum : p.logits[static_cast<int64_t>(number) * p.vocabulary + token],
                           token);
        }
    }
    p.keys[place * TILE_ROWS + threadIdx.x] = key;
}

}  // namespace gr::softmax
