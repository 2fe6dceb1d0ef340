// Parameters of the kernels that train a compressed softmax and compare it with the dense one: what Java writes and
// native/kernels/training*.cu read. All row-major unless it says otherwise.
//
// A vocabulary is visited in tiles: rows of A one behind the other, first .. first + count - 1 by token. Logits of a
// tile are kept state by state, `stride` numbers apart: the dense ones in the order of the tokens, the compressed ones
// in the order of places. Places order the rows of a tile by basis, so that rows that share a right factor form one
// GEMM: order[first + i] is the token at place i of the tile.
#pragma once
#include <stdint.h>

#include "groupreduce/stored.h"

// The left factor or dense rows of a group, or the right factor of a basis; and, where they are trained, their numbers
// in full precision, what Adam remembers of them, and the root mean square of every row at the start.
struct GrFactor {
    GrStoredRows rows;
    float* values;  // rows x width, or null
    float* first;   // rows x width
    float* second;  // rows x width
    float* sizes;   // rows
};
static_assert(sizeof(GrFactor) == 112, "as Java writes it");

// Which rows a kernel takes: those of the tokens at places first .. first + count - 1, or, when order is null, the rows
// first .. of one matrix.
struct GrFactorRows {
    const GrFactor* matrices;
    const int32_t* order;     // the token at every place, or null
    const uint8_t* group_of;  // per token: its matrix
    const int32_t* slot_of;   // per token: its row there
    const float* log8;        // 256 scales of GR_SCALE_LOG8, ascending
    int32_t matrix;           // when order is null
    int32_t first;
    int32_t count;
};

// Stored rows as binary32. A warp a row; block 128, grid.x = ceil(count / 4).
struct GrTrainingDecodeParams {
    GrFactorRows rows;
    float* target;   // count x stride; beyond a row's width 0
    int32_t stride;  // at least the widest row
};
// kernel gr_training_decode

// Full-precision copies and sizes of the rows of one matrix. A warp a row; block 128, grid.x = ceil(count / 4).
struct GrTrainingBeginParams {
    GrFactorRows rows;
};
// kernel gr_training_begin

// One step of Adam on trained rows, and what is stored of them. A warp a row; block 128, grid.x = ceil(count / 4).
struct GrTrainingMoveParams {
    GrFactorRows rows;
    const float* gradient;  // count x stride
    double length;          // rate / (1 - 0.9^t); times the size of a row
    float second_scale;     // 1 / (1 - 0.99^t)
    int32_t stride;
    int32_t renew_scales;  // 1: the smallest scales that clip nothing; 0: the scales that are there
};
// kernel gr_training_move

// The running softmaxes of both heads for one state.
struct GrPairState {
    double dense_sum;       // sum exp(x - dense_max)
    double gap;             // sum exp(x - dense_max) (x - y)
    double compressed_sum;  // sum exp(y - compressed_max)
    float dense_max;
    float compressed_max;
    float dense_inverse;  // 1 / sum
    float compressed_inverse;
};
static_assert(sizeof(GrPairState) == 40, "as Java makes room for it");

// Logits of a tile for some states; the bias is still to be added.
struct GrPairTile {
    float* dense;                  // states x stride, by row of the tile
    float* compressed;             // states x stride, by place
    const float* dense_bias;       // by token, or null
    const float* compressed_bias;  // by token, or null
    const int32_t* order;          // the token at every place
    int32_t first;
    int32_t count;
    int32_t stride;
    int32_t states;
};

// Adds a tile to the running softmaxes. A block a state: grid.x = states, block 32 to 512, a multiple of 32.
struct GrPairSoftmaxParams {
    GrPairTile tile;
    GrPairState* running;          // states
    const int32_t* targets;        // per state a token, or null
    const int32_t* target_places;  // per state the place of that token
    float* dense_target;           // per state: x of the target, when the tile has it
    float* compressed_target;      // likewise y
    int32_t begin;                 // 1 for the first tile
};
// kernel gr_pair_softmax

// The gradient of the mean KL by the compressed logits, in their place. Thread a place, GR_PAIR_STATES states one after
// the other: block 128, grid.x = ceil(count / 128), grid.y = ceil(states / GR_PAIR_STATES).
#define GR_PAIR_STATES 8
struct GrPairGradientParams {
    GrPairTile tile;
    const GrPairState* running;
    float weight;  // 1 / number of all states
};
// kernel gr_pair_gradient

// The gradient of the bias, and one step of Adam on it. A thread a place: block 128, grid.x = ceil(count / 128).
struct GrTrainedBias {  // by token
    float* values;
    float* first;
    float* second;
    float* stored;       // values rounded to bfloat16
    float length;        // rate * size / (1 - 0.9^t)
    float second_scale;  // 1 / (1 - 0.99^t)
};
struct GrTrainingBiasParams {
    const float* gradient;  // states x stride, by place
    float* sums;            // by place: the gradient over the states so far
    const int32_t* order;   // the token at every place
    GrTrainedBias bias;
    int32_t place, count, stride, states;
    int32_t begin;   // 1: these are the first states
    int32_t finish;  // 1: these are the last, move the bias
};
// kernel gr_training_bias

// The k best tokens so far of every state, by one tile more. Keys as in softmax.h, all different, in no order. A block
// a state: grid.x = states, block 32 to 512, a multiple of 32.
struct GrPairTopParams {
    const float* logits;   // states x stride
    const float* bias;     // by token, or null
    const int32_t* order;  // the token at every place when logits are by place, else null
    const uint64_t* best;  // states x k: the best so far
    uint64_t* best_now;    // states x k: those with this tile
    uint64_t* candidates;  // scratch, states x stride
    int32_t first, count, stride;
    int32_t k;
    int32_t known;  // keys in best: min(k, rows of all tiles before)
};
// kernel gr_pair_top
