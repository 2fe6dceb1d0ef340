// Stored rows and the bias: read, taken up for training, and moved by a step of Adam. Twins: EncodedMatrix.decodeRow,
// requantizeRow and encodeRow; ReferenceCalibration.Trained.
#include "groupreduce/training.h"
#include "stored_rows.h"
#include "warp.h"

namespace gr::training {
namespace {

constexpr int WARPS = 4;
constexpr int PLACE_THREADS = 128;
constexpr int UNIT = 8;  // numbers that fill whole bytes in every codec

constexpr float FIRST_DECAY = 0.9f;
constexpr float SECOND_DECAY = 0.99f;
constexpr float EPSILON = 1e-12f;

// Renews what Adam remembers of a number and returns the number after a step.
GR_DEVICE float moved(float value, float& first, float& second, float gradient, float length, float second_scale) {
    first = FIRST_DECAY * first + (1 - FIRST_DECAY) * gradient;
    second = SECOND_DECAY * second + (1 - SECOND_DECAY) * gradient * gradient;
    return value - length * first / (sqrtf(second * second_scale) + EPSILON);
}

// Of a number of the codec.
GR_DEVICE int bits_of(int codec) {
    return codec == GR_F32 ? 32 : codec == GR_BF16 ? 16 : codec == GR_INT8 ? 8 : codec == GR_INT4 ? 4 : 3;
}

GR_DEVICE int scale_bytes(const GrFactor& m) {
    return m.scale_format == GR_SCALE_F32 ? 4 : m.scale_format == GR_SCALE_BF16 ? 2 : 1;
}

// Of number j of a row.
GR_DEVICE float scale_of(const GrFactor& m, int64_t row, int j, const float* log8) {
    const int s = m.scales_per_row == 1 ? 0 : j / m.block;
    return stored::scale(m.scales, scale_bytes(m), row * m.scales_per_row + s, log8);
}

GR_DEVICE float decoded(const GrFactor& m, int64_t row, int j, const float* log8) {
    const float number = stored::number(m.codes + row * m.row_bytes, bits_of(m.codec), j);
    return m.scales_per_row == 0 ? number : number * scale_of(m, row, j, log8);
}

// Rounds numbers from .. from + UNIT - 1 of a row of integers at the scales it has and stores their bytes.
GR_DEVICE void store_unit(const GrFactor& m, int64_t row, int from, const float* log8) {
    const int bits = bits_of(m.codec);
    const float most = static_cast<float>(stored::max_integer(bits));
    const int zero = bits == 8 ? 0 : 1 << (bits - 1);
    const float* values = m.values + row * m.width;
    uint8_t* target = m.codes + row * m.row_bytes + from * bits / 8;
    const int count = min(UNIT, m.width - from);
    unsigned packed = 0;
    int filled = 0;
    for (int i = 0; i < count; i++) {
        const float scale = scale_of(m, row, from + i, log8);
        const float scaled = values[from + i] * (scale == 0 ? 0 : 1 / scale);
        // A scale without an inverse makes 0 * infinity, which is stored as 0.
        const float bounded = scaled == scaled ? fminf(most, fmaxf(-most, scaled)) : 0;
        const int integer = static_cast<int>(rintf(bounded));
        packed |= (static_cast<unsigned>(integer + zero) & ((1u << bits) - 1)) << filled;
        filled += bits;
        if (filled >= 8) {
            *target++ = static_cast<uint8_t>(packed);
            packed >>= 8;
            filled -= 8;
        }
    }
    if (filled > 0) {
        *target = static_cast<uint8_t>(packed | (m.codec == GR_INT4 ? 8u << filled : 0u));
    }
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
GR_KERNEL(gr_training_decode, GrTrainingDecodeParams, WARPS * WARP) {
    const int index = warp_in_grid();
    if (index >= p.rows.count) {
        return;
    }
    const Place at = place(p.rows, index);
    const GrFactor m = *at.matrix;
    float* target = p.target + static_cast<int64_t>(index) * p.stride;
    for (int j = lane(); j < p.stride; j += WARP) {
        target[j] = j < m.width ? decoded(m, at.row, j, p.rows.log8) : 0;
    }
}

// values_i = stored row i, size_i = sqrt(sum_j values_ij^2 / width), in double. Bytes: the codes once, 4 a number
// written.
GR_KERNEL(gr_training_begin, GrTrainingBeginParams, WARPS * WARP) {
    const int index = warp_in_grid();
    if (index >= p.rows.count) {
        return;
    }
    const Place at = place(p.rows, index);
    const GrFactor m = *at.matrix;
    double squares = 0;
    for (int j = lane(); j < m.width; j += WARP) {
        const float value = decoded(m, at.row, j, p.rows.log8);
        m.values[at.row * m.width + j] = value;
        squares += static_cast<double>(value) * value;
    }
    squares = warp_sum(squares);
    if (lane() == 0) {
        m.sizes[at.row] = static_cast<float>(sqrt(squares / max(1, m.width)));
    }
}

// m = 0.9 m + 0.1 g,   v = 0.99 v + 0.01 g^2,   x -= length size m / (sqrt(second_scale v) + 1e-12), and then the codes
// of x. Bytes a number: 4 of the gradient, 24 of x, m and v read and written, its code; x is read again for its code
// from the first-level cache.
GR_KERNEL(gr_training_move, GrTrainingMoveParams, WARPS * WARP) {
    const int index = warp_in_grid();
    if (index >= p.rows.count) {
        return;
    }
    const Place at = place(p.rows, index);
    const GrFactor m = *at.matrix;
    const float* gradient = p.gradient + static_cast<int64_t>(index) * p.stride;
    const float length = static_cast<float>(p.length * m.sizes[at.row]);
    const int64_t start = at.row * m.width;
    for (int j = lane(); j < m.width; j += WARP) {
        float& number = m.values[start + j];
        const float value = moved(number, m.first[start + j], m.second[start + j], gradient[j], length, p.second_scale);
        number = value;
        if (m.codec == GR_F32) {
            reinterpret_cast<float*>(m.codes + at.row * m.row_bytes)[j] = value;
        } else if (m.codec == GR_BF16) {
            reinterpret_cast<unsigned short*>(m.codes + at.row * m.row_bytes)[j] = to_bf16(value);
        }
    }
    if (m.scales_per_row == 0) {
        return;
    }
    sync_warp();
    if (p.renew_scales != 0) {
        for (int s = 0; s < m.scales_per_row; s++) {
            float largest = 0;
            for (int j = s * m.block + lane(); j < min(m.width, (s + 1) * m.block); j += WARP) {
                largest = fmaxf(largest, fabsf(m.values[start + j]));
            }
            largest = warp_max(largest);
            if (lane() == 0) {
                const float least = largest / static_cast<float>(stored::max_integer(bits_of(m.codec)));
                stored::store_scale(m.scales, scale_bytes(m), at.row * m.scales_per_row + s, least, p.rows.log8);
            }
        }
        sync_warp();
    }
    for (int from = lane() * UNIT; from < m.width; from += WARP * UNIT) {
        store_unit(m, at.row, from, p.rows.log8);
    }
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
    const float value = moved(p.values[token], p.first[token], p.second[token], sum, p.length, p.second_scale);
    p.values[token] = value;
    p.stored[token] = from_bf16(to_bf16(value));
}

}  // namespace gr::training
