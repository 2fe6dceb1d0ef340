// What stored rows lose, row by row.
//
//   error_i = ||A_i - A^_i||^2,   energy_i = ||A_i||^2;   with a metric also error_i = ||(A_i - A^_i) S||^2
//
// Shapes: count x D of A, of A^ and of their difference. Reconstructions come from gr_decode and a GEMM, the product
// with S from another. Squares are summed in binary64. Never materialised: A^ beyond a tile of rows. Twin:
// io.groupreduce.internal.reference.ReferenceWorkspace.loss.
#include "groupreduce/encode.h"
#include "warp.h"

namespace gr::encode {
// A - A^, in place of A. Bytes: 8 read and 4 written a number.
GR_KERNEL(gr_difference, GrDifferenceParams, 256) {
    const int64_t index = thread_in_grid();
    if (index < p.count) {
        p.values[index] -= p.rebuilt[index];
    }
}

// The squares of a row. Bytes: 4 D read a row, 8 D where the difference is taken here.
GR_KERNEL(gr_row_loss, GrRowLossParams, 256) {
    const int index = warp_in_grid();
    if (index >= p.count) {
        return;
    }
    const float* values = p.values + static_cast<int64_t>(index) * p.columns;
    double sum = 0;
    double energy = 0;
    if (p.rebuilt == nullptr) {
        for (int j = lane(); j < p.columns; j += 32) {
            const double difference = values[j];
            sum = fma(difference, difference, sum);
        }
    } else {
        const float* rebuilt = p.rebuilt + static_cast<int64_t>(index) * p.columns;
        for (int j = lane(); j < p.columns; j += 32) {
            const double value = values[j];
            const double difference = value - rebuilt[j];
            sum = fma(difference, difference, sum);
            energy = fma(value, value, energy);
        }
    }
    sum = warp_sum(sum);
    energy = warp_sum(energy);
    if (lane() == 0) {
        const int row = p.numbers[index];
        p.errors[row] = sum;
        if (p.rebuilt != nullptr) {
            p.energies[row] = energy;
        }
    }
}

// Weights of listed rows. Bytes: 12 a row.
GR_KERNEL(gr_listed_weights, GrListedWeightsParams, 256) {
    const int64_t index = thread_in_grid();
    if (index < p.count) {
        p.listed[index] = p.weights[p.numbers[index]];
    }
}

}  // namespace gr::encode
