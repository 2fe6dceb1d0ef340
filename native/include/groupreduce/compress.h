// Parameters of the compression kernels: what io.groupreduce.cuda.compress writes and native/kernels/compress.cu reads.
// N rows, D columns; matrices are row-major. A list of rows holds the numbers of rows in the whole matrix.
#pragma once
#include <stdint.h>

enum GrElement { GR_ELEMENT_F32 = 0, GR_ELEMENT_F16 = 1, GR_ELEMENT_BF16 = 2 };

// target_i = f_i values_places(i), with f_i = 1, w or sqrt(w) at numbers(i). Kernel gr_copy_rows: block 256, one warp a
// row.
struct GrCopyRowsParams {
    const void* values;      // rows of columns numbers, as stored
    const int32_t* places;   // which row of values row i is, or null when it is row i
    const int32_t* numbers;  // the number of row i in the whole matrix, or null when it is i
    const float* weights;    // N, or null for a factor of 1
    void* target;            // count x columns binary32 or binary64
    int32_t count, columns;
    int32_t type;  // GrElement
    int32_t wide;  // whether target is binary64
    int32_t root;  // whether the factor is the root of the weight
};

// norms_i = ||rows_i||^2. Kernel gr_row_norms: block 256, one warp a row.
struct GrRowNormsParams {
    const float* rows;  // count x columns
    float* norms;       // count
    int32_t count, columns;
};

// sums_ij += sign * sum over parts t of parts_t,ij, part 0 first. Kernel gr_add_parts: block 256, one thread a number;
// blocks along x for columns, along y for rows.
struct GrAddPartsParams {
    const void* parts;  // count x rows x columns, binary64 if wide, else binary32
    double* sums;       // rows x columns
    double sign;
    int64_t stride;  // numbers from a part to the next
    int32_t count, columns;
    int32_t wide;
    int32_t upper;  // whether only the numbers with j >= i are there
};

// to_x = from_x, rounded. Kernel gr_narrow: block 256, one thread a number.
struct GrNarrowParams {
    const double* from;
    float* to;
    int64_t count;
};

// Numbers as three terms of bfloat16, each rounded from what those before it leave, so that one product of bfloat16
// holds the six of theirs that count: a row becomes chunk after chunk of GR_SPLIT_COLUMNS numbers (the last one
// shorter, padded with zeros to a multiple of 8), of each chunk terms 2 1 0 1 0 0 of a left operand, 0 1 2 0 1 0 of a
// right one: the small products first. Kernel gr_split_rows: block 256, one warp a row.
#define GR_SPLIT_COLUMNS 256
struct GrSplitRowsParams {
    const float* values;  // count x columns
    uint16_t* terms;      // count x 6 columns, these rounded up to a multiple of 8
    int32_t count, columns;
    int32_t left;  // whether it is a left operand
};

// kept_i,l = sum of squares of the first ends_l coordinates of row i. Kernel gr_prefix_energies: block 256, one warp a
// row.
struct GrPrefixEnergiesParams {
    const float* coordinates;  // count x width
    const int32_t* ends;       // levels, ascending, at most width
    float* kept;               // row i's levels lie from i * stride on
    int32_t count, width, levels, stride;
};

// The best candidate of every row. Kernel gr_choose_candidate: block 256, one thread a row.
struct GrChooseCandidateParams {
    const float* energies;    // count: of the rows, under the metric
    const float* weights;     // count
    const float* kept;        // count x slots: energies that candidates keep; null when slots is 0
    const double* prices;     // candidates
    const int32_t* slots_of;  // candidates: the slot of kept, GR_KEEPS_NOTHING or GR_KEEPS_ALL
    const uint8_t* current;   // count: the candidate a row is in
    uint8_t* best;            // count
    float* gain;              // count: objective(current) - objective(best), not negative
    int32_t count, candidates, slots;
};

enum GrSlot { GR_KEEPS_NOTHING = -1, GR_KEEPS_ALL = -2 };

// What rows that are in one candidate gain when they become dense. Kernel gr_gain_when_dense: block 256, one thread a
// row.
struct GrGainWhenDenseParams {
    const float* energies;   // N
    const float* weights;    // N
    const int32_t* numbers;  // count: the rows
    const float* kept;       // count: what the candidate keeps, or null for nothing
    float* gain;             // N
    double price;            // the candidate's price less the dense one's, not negative
    int32_t count;
    int32_t all;  // whether the candidate keeps all, whatever kept says
};
