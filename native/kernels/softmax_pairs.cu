// Logits of chosen tokens or tiles, by the same sums as in gr_softmax_n.
//
//   logit_i = cap(scale_i sum_k value_ik z_k + bias_i)
//
// Shapes: pairs of state and token, or k tiles of 256 rows a question. Bytes: the packed strip of each token or of each
// tile, and the operand of its state; or 4 a row where the logits of the pass were kept. Never materialised: a decoded
// row.
// Twin: io.groupreduce.internal.reference.ReferenceInference.
#include "softmax_running.h"

namespace gr::softmax {
namespace {

constexpr int TILE_ROWS = 256;
constexpr int PANEL_BYTES = 5 * 1024;  // 544 columns of codes

struct PairMemory {
    uint4 rings[GR_RING_BYTES / 16];
    uint4 panel[PANEL_BYTES / 16];
    OperandMemory<2> operands;
    Turn<2> turns[WARPS];
};

// The logits of a strip a warp, of one group and state, for the row of a lane; all threads of the block. `wanted`:
// whether this warp has a strip.
GR_DEVICE float strip_logit(const GrInputs& in, const GrPacked& group, int strip, bool wanted, int state,
                            PairMemory& memory) {
    const float* numbers = group.operand < 0 ? in.hidden + static_cast<int64_t>(state) * in.columns
                                             : in.z + static_cast<int64_t>(state) * in.directions + group.operand;
    const Panel<2> panel(reinterpret_cast<uint2*>(memory.panel), &memory.operands, PANEL_BYTES);
    Ring ring(reinterpret_cast<uint8_t*>(memory.rings) + warp() * (GR_RING_BYTES / WARPS));
    const int blocks = blocks_of(group.form), chunk = panel.fitting(group.form);
    const RowsAhead rows(group, in.log8);
    const Row row = wanted ? rows.of_lane(strip) : no_row();
    const BlockScales scales = rows.block_scales(strip);
    if (wanted) {
        ring.start(group.codes + strip * group.strip_bytes, static_cast<int>(group.strip_bytes));
    }
    StripSums<2> sums;
    sums.clear();
    for (int at = 0; at < blocks; at += chunk) {
        const int held = min(chunk, blocks - at);
        panel.load(group.form, [&](int s) { return s == 0 ? numbers : nullptr; }, at, held);
        if (wanted) {
            add_blocks(sums, ring, group.form, clip(group.runs, at, held), panel, at, 0, held, scales);
        }
    }
    float y[2];
    finish_sums(y, sums, group.form, panel, scales, memory.turns[warp()]);
    const float logit = fma(y[0], row.scale, row.bias);
    return in.cap == 0 ? logit : capped(logit, in.cap);
}

}  // namespace

// The logit of one token of a state: the strip of 32 rows that the token is in, by one warp of the block.
GR_KERNEL(gr_target, GrTargetParams, 256, 2) {
    GR_SHARED(PairMemory, memory, 1);
    const GrTarget target = p.targets[blockIdx.x];
    if (target.state < 0) {
        return;
    }
    const int slot = p.slot_of[target.token];
    const GrPacked& group = p.inputs.groups[p.group_of[target.token]];
    const float logit = strip_logit(p.inputs, group, slot / STRIP, warp() == 0, target.state, memory[0]);
    if (static_cast<int>(threadIdx.x) == slot % STRIP) {
        p.logits[blockIdx.x] = logit;
    }
}

// The keys of all rows of the chosen tiles of a question: 256 a tile, 0 where there is no row.
GR_KERNEL(gr_rescore, GrRescoreParams, 256, 2) {
    GR_SHARED(PairMemory, memory, 1);
    const int number = static_cast<int>(blockIdx.y);
    const GrQuestion& question = p.questions[number];
    if (question.listed < 2) {
        return;
    }
    const int64_t place = static_cast<int64_t>(number) * p.k + blockIdx.x;
    const GrTile tile = p.places[place] < 0 ? GrTile{0, 0, 0} : p.tiles[p.places[place]];
    const GrPacked& group = p.inputs.groups[tile.group];
    const bool wanted = warp() < tile.strips;
    const int strip = tile.first_strip + warp(), row = strip * STRIP + lane();
    const float logit = p.logits != nullptr || tile.strips == 0
                            ? 0
                            : strip_logit(p.inputs, group, strip, wanted, question.state, memory[0]);
    const unsigned token = wanted && row < group.rows ? static_cast<unsigned>(group.tokens[row]) : NO_TOKEN;
    Key key = 0;
    if (token != NO_TOKEN && is_open(question.open, token)) {
        const int64_t kept = static_cast<int64_t>(number) * p.vocabulary + token;
        key = open_key(p.logits == nullptr ? logit : p.logits[kept], token);
    }
    p.keys[place * TILE_ROWS + threadIdx.x] = key;
}

}  // namespace gr::softmax
