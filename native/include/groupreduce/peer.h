// Parameters of the kernels behind the dense peer of benchmarks: what a softmax does that keeps its logits in memory.
#pragma once
#include "groupreduce/softmax.h"

// Logits of a state that a block goes through; the last chunk may have fewer.
#define GR_DENSE_CHUNK 1024

// grid.x = chunks of a state, grid.y = states, block 256
struct GrDenseScanParams {
    const float* logits;  // states x vocabulary
    GrPartial* partial;   // states x chunks
    uint64_t* best;       // states x chunks: the key of a chunk's largest logit
    int32_t vocabulary;
};
// kernel gr_dense_scan

// grid.x = k, grid.y = states, block 256
struct GrDenseKeysParams {
    const float* logits;    // states x vocabulary
    const int32_t* places;  // states x k: chunks
    uint64_t* keys;         // states x k x GR_DENSE_CHUNK; 0 where there is no logit
    int32_t vocabulary, k;
};
// kernel gr_dense_keys
