// A strip of 32 directions of a right factor times S hidden states, by a block of 256 threads: see softmax_project.cu.
#pragma once

#include "softmax_strip.h"

namespace gr::softmax {

template <int S>
struct ProjectionMemory {
    OperandMemory<S> operands;
    Turn<S> turns[WARPS];
    float shares[WARPS][S][STRIP];
};

// Coordinates of states first .. first + S - 1; `dynamic` is GR_RING_BYTES and the panel.
template <int S>
GR_DEVICE void project_strip(const GrProjectParams& p, const GrPacked& right, int strip, int first, uint8_t* dynamic,
                             ProjectionMemory<S>& memory) {
    const Panel<S> panel(reinterpret_cast<uint2*>(dynamic + GR_RING_BYTES), &memory.operands, p.panel_bytes);
    Ring ring(dynamic + warp() * (GR_RING_BYTES / WARPS));
    const int blocks = blocks_of(right.form), chunk = min(blocks, panel.fitting(right.form));
    const uint8_t* codes = right.codes + strip * right.strip_bytes;
    const RowScales rows(right, p.log8);
    const BlockScales scales = rows.block_scales(strip);
    StripSums<S> sums;
    sums.clear();
    for (int at = 0; at < blocks; at += chunk) {
        const int held = min(chunk, blocks - at);
        const int own = warp() * held / WARPS, count = (warp() + 1) * held / WARPS - own;
        ring.start(codes + bytes_of(right, 0, at + own), bytes_of(right, at + own, count));
        panel.load(right.form,
                   [&](int s) {
                       return first + s < p.states ? p.hidden + static_cast<int64_t>(first + s) * p.columns : nullptr;
                   },
                   at, held);
        if (count > 0) {
            add_blocks(sums, ring, right.form, clip(right.runs, at + own, count), panel, at + own, own, count, scales);
        }
    }
    float y[S];
    finish_sums(y, sums, right.form, panel, scales, memory.turns[warp()]);
    sync_block();  // a block may come here more than once
    GR_UNROLL
    for (int s = 0; s < S; s++) {
        memory.shares[warp()][s][lane()] = y[s];
    }
    sync_block();
    // Thread t: row t % 32 of state t / 32.
    const int s = warp(), row = strip * STRIP + lane();
    if (s < S && first + s < p.states) {
        float sum = memory.shares[0][s][lane()];
        for (int w = 1; w < WARPS; w++) {
            sum += memory.shares[w][s][lane()];
        }
        float* z = p.z + static_cast<int64_t>(first + s) * p.directions + right.operand;
        z[row] = row < right.rows ? sum * rows.row_scale(row) : 0;
    }
}

}  // namespace gr::softmax
