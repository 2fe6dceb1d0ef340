// Stored rows and the bias: read, taken up for training, and moved by a step of Adam. Shapes: rows of one matrix, or of
// the tokens at places; numbers beyond a row's width do not count. Never materialised: numbers of a row between its
// step and its codes. Twins: decodeRow, requantizeRow and encodeRow of io.groupreduce.matrix.EncodedMatrix; Trained of
// io.groupreduce.internal.reference.ReferenceCalibration.
#include "groupreduce/training.h"
#include "stored_rows.h"
#include "warp.h"

namespace gr::training {
namespace {

constexpr int WARPS = 4;
constexpr int PLACE_THREADS = 128;

constexpr float FIRST_DECAY = 0.9f;
constexpr float SECOND_DECAY = 0.99f;
constexpr float EPSILON = 1e-12f;

// Renews what Adam remembers of a number and returns the number after a step.
GR_DEVICE float moved(float value, float& first, float& second, float gradient, float length, float second_scale) {
    first = FIRST_DECAY * first + (1 - FIRST_DECAY) * gradient;
    second = SECOND_DECAY * second + (1 - SECOND_DECAY) * gradient * gradient;
    return value - length * first / (sqrtf(second * second_scale) + EPSILON);
}

struct Place {
    const GrFactor* matrix;
    int64_t row;
};

GR_DEVICE Place place(const GrFactorRows& rows, int index) {
    if (rows.order == nullptr) {
        return {rows.matrices + rows.matrix, rows.first + index};
    }
    const int token = rows.order[rows.first + index];
    return {rows.matrices + rows.group_of[token], rows.slot_of[token]};
}

}  // namespace

// target_i = stored row i as binary32, then zeros up to the stride. Bytes: the codes and scales of `count` rows, 4
// count stride written.
GR_KERNEL(gr_training_decode, GrTrainingDecodeParams, WARPS* WARP) {
    const int index = warp_in_grid();
    if (index >= p.rows.count) {
        return;
    }
    const Place at = place(p.rows, index);
    const GrStoredRows m = at.matrix->rows;
    float* target = p.target + static_cast<int64_t>(index) * p.stride;
    for (int j = lane(); j < p.stride; j += WARP) {
        target[j] = j < m.form.width ? stored::decode(m, at.row, j, p.rows.log8) : 0;
    }
}

// values_i = stored row i, size_i = sqrt(sum_j values_ij^2 / width), in double. Bytes: the codes once, 4 a number
// written.
GR_KERNEL(gr_training_begin, GrTrainingBeginParams, WARPS* WARP) {
    const int index = warp_in_grid();
    if (index >= p.rows.count) {
        return;
    }
    const Place at = place(p.rows, index);
    const GrStoredRows m = at.matrix->rows;
    const int width = m.form.width;
    float* values = at.matrix->values + at.row * width;
    double squares = 0;
    for (int j = lane(); j < width; j += WARP) {
        const float value = stored::decode(m, at.row, j, p.rows.log8);
        values[j] = value;
        squares += static_cast<double>(value) * value;
    }
    squares = warp_sum(squares);
    if (lane() == 0) {
        at.matrix->sizes[at.row] = static_cast<float>(sqrt(squares / max(1, width)));
    }
}

// m = 0.9 m + 0.1 g,   v = 0.99 v + 0.01 g^2,   x -= length size m / (sqrt(second_scale v) + 1e-12), and then the codes
// of x. Bytes a number: 4 of the gradient, 24 of x, m and v read and written, its code; x is read again for its code
// from the first-level cache.
GR_KERNEL(gr_training_move, GrTrainingMoveParams, WARPS* WARP) {
    const int index = warp_in_grid();
    if (index >= p.rows.count) {
        return;
    }
    const Place at = place(p.rows, index);
    const GrFactor m = *at.matrix;
    const float* gradient = p.gradient + static_cast<int64_t>(index) * p.stride;
    const float length = static_cast<float>(p.length * m.sizes[at.row]);
    const GrRowForm& form = m.rows.form;
    const int64_t start = at.row * form.width;
    for (int j = lane(); j < form.width; j += WARP) {
        float& number = m.values[start + j];
        const float value = moved(number, m.first[start + j], m.second[start + j], gradient[j], length, p.second_scale);
        number = value;
        if (form.bits == 32) {
            reinterpret_cast<float*>(m.rows.codes + at.row * form.row_bytes)[j] = value;
        } else if (form.bits == 16) {
            reinterpret_cast<unsigned short*>(m.rows.codes + at.row * form.row_bytes)[j] = to_bf16(value);
        }
    }
    if (form.scales_per_row == 0) {
        return;
    }
    sync_warp();
    const float* values = m.values + start;
    for (int s = 0; p.renew_scales != 0 && s < form.scales_per_row; s++) {
        const int end = min(form.width, (s + 1) * form.block);
        const float least = stored::clipping_nothing(form, values, s * form.block, end, 1);
        if (lane() == 0) {
            stored::store_scale(m.rows.scales, form.scale_bytes, at.row * form.scales_per_row + s, least, p.rows.log8);
        }
    }
    sync_warp();
    stored::store_codes(m.rows, at.row, values, p.rows.log8);
}

// db_i = sum over states of g_i, then a step of Adam on b. Bytes: 4 a token and state, 28 a token.
GR_KERNEL(gr_training_bias, GrTrainingBiasParams, PLACE_THREADS) {
    const int i = blockIdx.x * PLACE_THREADS + threadIdx.x;
    if (i >= p.count) {
        return;
    }
    float sum = p.begin != 0 ? 0 : p.sums[i];
    for (int state = 0; state < p.states; state++) {
        sum += p.gradient[static_cast<int64_t>(state) * p.stride + i];
    }
    if (p.finish == 0) {
        p.sums[i] = sum;
        return;
    }
    const int token = p.order[p.place + i];
    const GrTrainedBias& b = p.bias;
    const float value = moved(b.values[token], b.first[token], b.second[token], sum, b.length, b.second_scale);
    b.values[token] = value;
    b.stored[token] = from_bf16(to_bf16(value));
}

}  // namespace gr::training
