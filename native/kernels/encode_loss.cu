// What stored rows lose, row by row.
//
//   loss_i = w_i ||(A_i - A^_i) S||^2
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

// w_i times the squares of a row. Bytes: 4 D read a row, 8 D where the difference is taken here.
GR_KERNEL(gr_row_loss, GrRowLossParams, 256) {
    const int index = warp_in_grid();
    if (index >= p.count) {
        return;
    }
    const float* values = p.values + static_cast<int64_t>(index) * p.columns;
    double sum = 0;
    if (p.rebuilt == nullptr) {
        for (int j = lane(); j < p.columns; j += 32) {
            const double difference = values[j];
            sum = fma(difference, difference, sum);
        }
    } else {
        const float* rebuilt = p.rebuilt + static_cast<int64_t>(index) * p.columns;
        for (int j = lane(); j < p.columns; j += 32) {
            const double difference = static_cast<double>(values[j]) - rebuilt[j];
            sum = fma(difference, difference, sum);
        }
    }
    sum = warp_sum(sum);
    if (lane() == 0) {
        const int row = p.numbers[index];
        p.losses[row] = p.weights[row] * sum;
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
