// Parameters of the kernels that rate ways to store a row, choose among them, encode left factors, decode them, and
// measure what is lost: what Java (io.groupreduce.cuda.compress) writes and native/kernels/encode_*.cu read.
#pragma once
#include <stdint.h>

#include "groupreduce/stored.h"

// A plan without coordinates: zero or dense. It loses w (of_energy * e + of_codes * squared error of its codes).
struct GrWholePlan {
    double of_energy;
    double of_codes;
    int32_t plan;
    GrRowForm form;  // of its codes: scales_per_row is 0 where it has none
};
static_assert(sizeof(GrWholePlan) == 80, "as Java writes it");

// Where scales come from.
struct GrScales {
    const float* log8;   // 256 scales of ScaleFormat.LOG8, ascending
    const float* steps;  // 32: what multiplies the largest scale tried, unless scales are those of LOG8
};

// One warp a row; block 256.
struct GrRateWholeParams {
    const GrWholePlan* plans;
    const float* values;    // A: count x columns; null when no plan has codes
    const float* energies;  // count: e_i = ||A_i S||^2
    const float* weights;   // count
    float* distortions;     // count x stride
    GrScales scales;
    int32_t count, columns, plan_count, stride;
};
// kernel gr_rate_whole

// A way to store the first coordinates of a basis.
struct GrRatePlan {
    int32_t plan;   // its number
    int32_t level;  // which of the basis's ranks
    GrRowForm form;
};
static_assert(sizeof(GrRatePlan) == 64, "as Java writes it");

// A basis whose plans are rated.
struct GrRateBasis {
    const float* scales;         // per coordinate: what it is multiplied by before it is stored
    const float* error_weights;  // per coordinate: u = 1 / scale^2
    const int32_t* ranks;        // per level: ascending, the first one 0, the last one all coordinates
    const GrRatePlan* plans;
    int32_t plan_count;
    int32_t levels;
    int32_t offset;  // where its coordinates begin in a row of them
};
static_assert(sizeof(GrRateBasis) == 48, "as Java writes it");

// Distortions of every plan of every basis. One warp a row, grid.y = bases; block 256, dynamic shared memory
// GR_RATE_SHARED(most_levels).
struct GrRateParams {
    const float* coordinates;  // count x coordinate_stride, those of basis b from offset on
    const GrRateBasis* bases;
    const float* energies;  // count
    const float* weights;   // count
    float* distortions;     // count x stride
    GrScales scales;
    int32_t count, coordinate_stride, stride, most_levels;
};
// kernel gr_rate

// Bytes of shared memory: of each of 8 warps a number a level.
#define GR_RATE_SHARED(levels) (8 * 4 * (levels))

// A row's plan of least distortion + cost. A block takes GR_CHOOSE_ROWS rows; block 256.
#define GR_CHOOSE_ROWS 1024
#define GR_MOST_PLANS 256
struct GrChooseParams {
    const float* distortions;  // count x stride
    const double* costs;       // per plan: infinite for a barred one
    uint8_t* group_of;         // count
    double* sums;              // grid.x x plans: the block's distortions by chosen plan
    int32_t* chosen;           // grid.x x plans: its rows by chosen plan
    int32_t count, plans, stride;
    int32_t open;  // a plan that is not barred
};
// kernel gr_choose

// The sums of all blocks in a fixed order. grid.x = plans, block 32.
struct GrChoiceSumParams {
    const double* sums;     // blocks x plans
    const int32_t* chosen;  // blocks x plans
    double* distortions;    // plans
    int64_t* rows;          // plans
    int32_t blocks, plans;
};
// kernel gr_choice_sum

// Encodes a block of rows. One warp a row; block 128.
struct GrEncodeParams {
    const float* values;         // count x width, width that of the longest group
    const GrStoredRows* groups;  // by rising first
    const float* factors;        // per number: what it is multiplied by before it is stored; null for 1
    const float* error_weights;  // per number: what its squared error counts; null for 1
    GrScales scales;
    int32_t count, width, group_count;
};
// kernel gr_encode

// Decodes a block of rows. One warp a row; block 256.
struct GrDecodeParams {
    const GrStoredRows* groups;  // by rising first
    const float* log8;
    float* values;  // count x width; numbers beyond a row's own width become 0
    int32_t count, width, group_count;
};
// kernel gr_decode

// Rows less their reconstruction: values -= rebuilt. One thread a number; block 256.
struct GrDifferenceParams {
    const float* rebuilt;
    float* values;
    int64_t count;
};
// kernel gr_difference

// What each row loses. One warp a row; block 256.
struct GrRowLossParams {
    const float* values;     // count x columns: differences, or what `rebuilt` is taken from
    const float* rebuilt;    // count x columns, or null
    const int32_t* numbers;  // count: which row of the matrix each one is
    double* errors;          // by row of the matrix: ||difference||^2
    double* energies;        // by row of the matrix: ||values||^2; only where there is `rebuilt`
    int32_t count, columns;
};
// kernel gr_row_loss

// Weights of listed rows. One thread a row; block 256.
struct GrListedWeightsParams {
    const int32_t* numbers;
    const float* weights;  // w by row of the matrix
    float* listed;         // count
    int32_t count;
};
// kernel gr_listed_weights
