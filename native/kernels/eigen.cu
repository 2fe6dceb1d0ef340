// Kernels between the library calls of the device eigensolver, io.groupreduce.cuda.blas.CudaTruncatedEigen. Each moves its
// operands once and computes next to nothing: they are bound by memory bandwidth. Sums have a fixed order: threads
// stride over the elements, then the warps' trees, then the warps in order. Never materialised: differences, or
// anything else of the size of an operand that is not the result. Twin of the whole solver:
// io.groupreduce.internal.linear.SymmetricEigen.
#include "groupreduce/eigen.h"
#include "warp.h"

namespace gr::eigen {
namespace {

constexpr int THREADS = 256;
constexpr int WARPS = THREADS / WARP;
constexpr int TILE = 32;
constexpr int TILE_ROWS = THREADS / TILE;
constexpr uint64_t SEED = 0x67726f75707265ull;

GR_DEVICE int64_t at(int row, int column, int leading) { return row + static_cast<int64_t>(column) * leading; }

// The sum over the block, in every thread.
GR_DEVICE double block_sum(double value, double (&of_warps)[WARPS]) {
    return reduce_block(value, of_warps, [](double a, double b) { return a + b; });
}

// The larger; a NaN if there is one.
GR_DEVICE double worse(double a, double b) { return a >= b || a != a ? a : b; }

GR_DEVICE uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

// Number i of vector v of stream key, uniform in [-1, 1): a function of the three, whoever computes it.
GR_DEVICE double random_number(int key, int v, int i) {
    const uint64_t stream = mix(SEED + static_cast<uint64_t>(key) * 0x9e3779b97f4a7c15ull);
    const uint64_t counter = (static_cast<uint64_t>(v) << 32) + static_cast<uint64_t>(i);
    const uint64_t bits = mix(mix(stream + counter * 0x9e3779b97f4a7c15ull));
    return static_cast<double>(bits >> 11) * 0x1p-52 - 1.0;
}

}  // namespace

// A_ij = A_ji for i < j. D x D FP64 per matrix: reads half, writes half; a 32 x 32 tile is turned in shared memory so
// that both are in whole rows. Grid: tiles of the lower triangle, diagonal included, counted along its rows, x
// matrices.
GR_KERNEL(gr_eigen_mirror, GrEigenMirror, THREADS) {
    GR_SHARED(double, tile, TILE * (TILE + 1));
    int tile_row = static_cast<int>((sqrt(8.0 * blockIdx.x + 1.0) - 1.0) / 2.0);
    // The root is rounded: put right by at most one.
    while ((static_cast<int64_t>(tile_row) + 1) * (tile_row + 2) / 2 <= static_cast<int64_t>(blockIdx.x)) {
        tile_row++;
    }
    while (static_cast<int64_t>(tile_row) * (tile_row + 1) / 2 > static_cast<int64_t>(blockIdx.x)) {
        tile_row--;
    }
    const int tile_column = static_cast<int>(blockIdx.x - static_cast<int64_t>(tile_row) * (tile_row + 1) / 2);
    double* matrix = p.matrices + static_cast<int64_t>(blockIdx.y) * p.order * p.order;
    const int x = threadIdx.x % TILE, y = threadIdx.x / TILE;
    for (int j = y; j < TILE; j += TILE_ROWS) {
        const int row = tile_row * TILE + x, column = tile_column * TILE + j;
        if (row < p.order && column < p.order) {
            tile[x * (TILE + 1) + j] = matrix[at(row, column, p.order)];
        }
    }
    sync_block();
    for (int j = y; j < TILE; j += TILE_ROWS) {
        // (row, column) is the place above the diagonal: the tile's element (column, row) below it.
        const int row = tile_column * TILE + x, column = tile_row * TILE + j;
        if (row < column && column < p.order) {
            matrix[at(row, column, p.order)] = tile[j * (TILE + 1) + x];
        }
    }
}

// traces[b] = sum_i A_ii. Reads D numbers a matrix, one block each (blockIdx.x).
GR_KERNEL(gr_eigen_trace, GrEigenTrace, THREADS) {
    GR_SHARED(double, partial, WARPS);
    const double* matrix = p.matrices + static_cast<int64_t>(blockIdx.x) * p.order * p.order;
    double sum = 0;
    for (int i = threadIdx.x; i < p.order; i += THREADS) {
        sum += matrix[at(i, i, p.order)];
    }
    sum = block_sum(sum, partial);
    if (threadIdx.x == 0) {
        p.traces[blockIdx.x] = sum;
    }
}

// x_vi = scale u(key, v, i), v < counts[b]. Writes D numbers a vector. Grid: vectors x blocks.
GR_KERNEL(gr_eigen_random, GrEigenRandom, THREADS) {
    const int v = blockIdx.x;
    if (v >= p.counts[blockIdx.y]) {
        return;
    }
    double* vector = p.blocks[blockIdx.y] + at(0, v, p.order);
    const int key = p.keys[blockIdx.y];
    for (int i = threadIdx.x; i < p.order; i += THREADS) {
        vector[i] = p.scale * random_number(key, v, i);
    }
}

// B = f A - I, so that the eigenvalues 0 and 2 / f of A become -1 and 1. Reads and writes D x D a matrix. Grid: columns
// x matrices.
GR_KERNEL(gr_eigen_affine, GrEigenAffine, THREADS) {
    const int column = blockIdx.x;
    const double factor = p.factors[blockIdx.y];
    const double* from = p.matrices[blockIdx.y] + at(0, column, p.order);
    double* to = p.shifted[blockIdx.y] + at(0, column, p.order);
    for (int i = threadIdx.x; i < p.order; i += THREADS) {
        to[i] = factor * from[i] - (i == column ? 1.0 : 0.0);
    }
}

// x_v = x_v / |x_v|. Reads a vector twice, the second time from cache, and writes it. Grid: vectors x blocks.
GR_KERNEL(gr_eigen_normalize, GrEigenNormalize, THREADS) {
    GR_SHARED(double, partial, WARPS);
    const int v = blockIdx.x;
    double* vector = p.blocks[blockIdx.y] + at(0, v, p.order);
    double sum = 0;
    for (int i = threadIdx.x; i < p.order; i += THREADS) {
        sum += vector[i] * vector[i];
    }
    sum = block_sum(sum, partial);
    if (sum == 0) {
        for (int i = threadIdx.x; i < p.order; i += THREADS) {
            vector[i] = random_number(-1, v, i);
            sum += vector[i] * vector[i];
        }
        sum = block_sum(sum, partial);
    }
    const double scale = 1 / sqrt(sum);
    for (int i = threadIdx.x; i < p.order; i += THREADS) {
        vector[i] *= scale;
    }
}

// deviation = max |S - I|, NaN if S holds one; S += shift I where it is above the limit. Reads width x width a matrix,
// one block each (blockIdx.x).
GR_KERNEL(gr_eigen_deviation, GrEigenDeviation, THREADS) {
    GR_SHARED(double, partial, WARPS);
    double* gram = p.grams + static_cast<int64_t>(blockIdx.x) * p.width * p.width;
    double most = 0;
    for (int column = 0; column < p.width; column++) {
        for (int i = threadIdx.x; i < p.width; i += THREADS) {
            most = worse(most, fabs(gram[at(i, column, p.width)] - (i == column ? 1.0 : 0.0)));
        }
    }
    most = reduce_block(most, partial, worse);
    if (most > p.limit) {
        for (int i = threadIdx.x; i < p.width; i += THREADS) {
            gram[at(i, i, p.width)] += p.shift;
        }
    }
    if (threadIdx.x == 0) {
        p.deviations[blockIdx.x] = most;
    }
}

// |y_v - theta_v x_v|^2 of Ritz pairs, y = A x. Reads both blocks once; the difference is never stored. Grid: vectors x
// blocks.
GR_KERNEL(gr_eigen_residual, GrEigenResidual, THREADS) {
    GR_SHARED(double, partial, WARPS);
    const int64_t pair = static_cast<int64_t>(blockIdx.y) * p.width + blockIdx.x;
    const double value = p.values[pair];
    const double* x = p.x[blockIdx.y] + at(0, blockIdx.x, p.order);
    const double* y = p.y[blockIdx.y] + at(0, blockIdx.x, p.order);
    double sum = 0;
    for (int i = threadIdx.x; i < p.order; i += THREADS) {
        const double difference = y[i] - value * x[i];
        sum += difference * difference;
    }
    sum = block_sum(sum, partial);
    if (threadIdx.x == 0) {
        p.squares[pair] = sum;
    }
}

// The order of ascending eigenvalues turned around: copies D numbers a vector. Grid: vectors wanted.
GR_KERNEL(gr_eigen_reverse, GrEigenReverse, THREADS) {
    const double* from = p.source + at(0, p.count - 1 - static_cast<int>(blockIdx.x), p.order);
    double* to = p.target + at(0, blockIdx.x, p.order);
    for (int i = threadIdx.x; i < p.order; i += THREADS) {
        to[i] = from[i];
    }
}

}  // namespace gr::eigen
