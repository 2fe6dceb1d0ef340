// Parameters of the kernels in eigen.cu: what the device eigensolver (io.groupreduce.cuda.blas.CudaTruncatedEigen) needs
// beside cuBLAS and cuSOLVER. Matrices are FP64 and column-major; D is their order. A block is D x width: its vectors
// are its columns, each D numbers one behind the other. Arrays of addresses lie on the device, one entry per matrix of
// the batch (blockIdx.y).
#pragma once

#include <stdint.h>

// gr_eigen_mirror: copies the lower triangle of each of gridDim.y matrices, D x D one behind the other, to the upper.
struct GrEigenMirror {
    double* matrices;
    int32_t order;
};

// gr_eigen_trace: traces[b] = sum of the diagonal of matrix b, one block each.
struct GrEigenTrace {
    const double* matrices;
    double* traces;
    int32_t order;
};

// gr_eigen_random: the first counts[b] vectors of block b become random, uniform in [-scale, scale). keys[b] names the
// stream of numbers.
struct GrEigenRandom {
    double* const* blocks;
    const int32_t* counts;
    const int32_t* keys;
    double scale;
    int32_t order;
};

// gr_eigen_affine: shifted[b] = factors[b] matrices[b] - I.
struct GrEigenAffine {
    const double* const* matrices;
    double* const* shifted;
    const double* factors;
    int32_t order;
};

// gr_eigen_normalize: every vector gets length 1; a zero vector becomes a random one first.
struct GrEigenNormalize {
    double* const* blocks;
    int32_t order;
};

// gr_eigen_deviation: deviations[b] = max |S_ij - (i == j)| of matrix b, width x width one behind the other; where that
// exceeds the limit the diagonal grows by shift.
struct GrEigenDeviation {
    double* grams;
    double* deviations;
    double limit;
    double shift;
    int32_t width;
};

// gr_eigen_residual: squares[b width + v] = |y_v - values[b width + v] x_v|^2, one block a vector.
struct GrEigenResidual {
    const double* const* x;
    const double* const* y;
    const double* values;
    double* squares;
    int32_t order;
    int32_t width;
};

// gr_eigen_reverse: vector blockIdx.x of target = vector count - 1 - blockIdx.x of source.
struct GrEigenReverse {
    const double* source;
    double* target;
    int32_t order;
    int32_t count;
};
