// Coordinates of hidden states in every basis.
//
//   z[s][b] = R_b h_s          for all states s and bases b
//
// Shapes: hidden states x columns, R_b packed (its rows are directions), z states x directions. A block takes 32
// directions and 8 states; its 8 warps share the width, and their sums are added up in the order of warps. Bytes: the
// packed right factors once a block of 8 states, hidden states once a strip. Never materialised: a decoded right
// factor. Twin: io.groupreduce.vector.inference.StateProjection.
#include "softmax_strip.h"

namespace gr::softmax {
namespace {

constexpr int WARPS = 8;
constexpr int STATES = 8;
constexpr int UNIT = 4;            // slices
constexpr int COLUMN = STRIP + 4;  // of a share in shared memory: so far apart, lanes that write meet in no bank

// Warp w takes units w, w + 8, .. of the width: four slices, so that sums are added up as everywhere, and whole steps.
GR_DEVICE void add_share(Sums<1>& sums, const GrPacked& right, int strip, const PlainNumbers& hidden,
                         const float* log8) {
    const BlockScales scales = block_scales(right, strip);
    for (int first = warp() * UNIT; first < right.slices; first += WARPS * UNIT) {
        const Strip share = open_strip(right, strip, min(first + UNIT, right.slices));
        add_strip(sums, share, first >> right.codec, scales, log8, hidden);
    }
}

}  // namespace

GR_KERNEL(gr_project, GrProjectParams, 256) {
    GR_SHARED(float, shares, WARPS * STATES * COLUMN);
    const GrTile tile = p.tiles[blockIdx.x];
    const GrPacked right = p.rights[tile.group];
    const int first_state = static_cast<int>(blockIdx.y) * STATES;
    const int state = first_state + lane() / 4;
    const bool present = state < p.states;
    const float* hidden = p.hidden + (present ? static_cast<int64_t>(state) * p.columns : 0);
    Sums<1> sums;
    sums.clear();
    add_share(sums, right, tile.first_strip, {hidden, present ? p.columns : 0}, p.log8);
    GR_UNROLL
    for (int n = 0; n < 8; n++) {
        const int row = lane_row(n / 2), column = lane() % 4 * 2 + n % 2;
        shares[(warp() * STATES + column) * COLUMN + row] = sums.of(n / 2, 0, n % 2);
    }
    sync_block();
    // Thread t: row t % 32 of state t / 32.
    const int thread = static_cast<int>(threadIdx.x);
    const float* share = shares + thread / STRIP * COLUMN + thread % STRIP;
    float sum = share[0];
    for (int w = 1; w < WARPS; w++) {
        sum += share[w * STATES * COLUMN];
    }
    if (first_state + thread / STRIP < p.states) {
        const int row = tile.first_strip * STRIP + thread % STRIP;
        p.z[static_cast<int64_t>(first_state + thread / STRIP) * p.directions + right.operand + row] =
            sum * row_scale(right, row, p.log8);
    }
}

}  // namespace gr::softmax
