// Coordinates of hidden states in every basis.
//
//   z[s][b] = R_b h_s          for all states s and bases b
//
// Shapes: hidden states x columns, R_b packed (its rows are directions), z states x directions. A block takes 32
// directions and 8 states; its 8 warps share the width, and their sums are added up in the order of warps. Bytes: the
// packed right factors once a block of 8 states, hidden states once a strip. Never materialised: a decoded right
// factor. Twin: io.groupreduce.vector.inference.StateProjection.
#include "softmax_projection.h"

namespace gr::softmax {

GR_KERNEL(gr_project, GrProjectParams, 256) {
    GR_DYNAMIC_SHARED(uint8_t, dynamic);
    GR_SHARED(ProjectionMemory<8>, memory, 1);
    const GrTile tile = p.tiles[blockIdx.x];
    project_strip<8>(p, p.rights[tile.group], tile.first_strip, static_cast<int>(blockIdx.y) * 8, dynamic, memory[0]);
}

}  // namespace gr::softmax
