// Rows, Gram matrices and the assignment of rows: the kernels of io.groupreduce.cuda.compress around products by
// cuBLAS. Sums run in a fixed order: lanes take every 32nd number, then a tree over lanes. Twins: energy, accumulate,
// assign and directions of io.groupreduce.internal.reference.ReferenceWorkspace.
#include "groupreduce/compress.h"
#include "warp.h"

namespace gr::compress {
namespace {

struct alignas(16) DoublePair {
    double a, b;
};

template <int Type>
GR_DEVICE float read(const void* values, int64_t at) {
    if (Type == GR_ELEMENT_F32) {
        return static_cast<const float*>(values)[at];
    }
    const unsigned short bits = static_cast<const unsigned short*>(values)[at];
    return Type == GR_ELEMENT_F16 ? low_f16(bits) : from_bf16(bits);
}

// Four numbers from a multiple of four on.
template <int Type>
GR_DEVICE float4 read4(const void* values, int64_t at) {
    if (Type == GR_ELEMENT_F32) {
        return static_cast<const float4*>(values)[at / 4];
    }
    const uint2 v = static_cast<const uint2*>(values)[at / 4];
    if (Type == GR_ELEMENT_F16) {
        return make_float4(low_f16(v.x), high_f16(v.x), low_f16(v.y), high_f16(v.y));
    }
    return make_float4(bits_float(v.x << 16), bits_float(v.x & 0xffff0000u), bits_float(v.y << 16),
                       bits_float(v.y & 0xffff0000u));
}

template <int Type>
GR_DEVICE void copy_row(const GrCopyRowsParams& p, int64_t row, bool by_four) {
    const int64_t from = static_cast<int64_t>(p.places == nullptr ? row : p.places[row]) * p.columns;
    const int64_t to = row * p.columns;
    double factor = 1;
    if (p.weights != nullptr) {
        factor = p.weights[p.numbers == nullptr ? row : p.numbers[row]];
        factor = p.root ? sqrt(factor) : factor;
    }
    const float single = static_cast<float>(factor);
    double* wide = static_cast<double*>(p.target) + to;
    float* narrow = static_cast<float*>(p.target) + to;
    if (!by_four) {
        for (int j = lane(); j < p.columns; j += WARP) {
            const float value = read<Type>(p.values, from + j);
            if (p.wide) {
                wide[j] = factor * value;
            } else {
                narrow[j] = single * value;
            }
        }
    } else if (p.wide) {
        for (int j = 4 * lane(); j < p.columns; j += 4 * WARP) {
            const float4 v = read4<Type>(p.values, from + j);
            DoublePair* pair = reinterpret_cast<DoublePair*>(wide + j);
            pair[0] = {factor * v.x, factor * v.y};
            pair[1] = {factor * v.z, factor * v.w};
        }
    } else {
        for (int j = 4 * lane(); j < p.columns; j += 4 * WARP) {
            const float4 v = read4<Type>(p.values, from + j);
            *reinterpret_cast<float4*>(narrow + j) =
                make_float4(single * v.x, single * v.y, single * v.z, single * v.w);
        }
    }
}

}  // namespace

// X_i = f_i A_places(i),   f_i = 1, w_i or sqrt(w_i);   A: rows x D as stored, X: count x D in binary32 or binary64
// Bytes: 2 or 4 D a row read, 4 or 8 D written. Never materialised: the matrix in another type beyond the rows asked
// for.
GR_KERNEL(gr_copy_rows, GrCopyRowsParams, 256) {
    const int64_t row = warp_in_grid();
    if (row >= p.count) {
        return;
    }
    const uintptr_t places = reinterpret_cast<uintptr_t>(p.values) | reinterpret_cast<uintptr_t>(p.target);
    const bool by_four = p.columns % 4 == 0 && places % 16 == 0;
    if (p.type == GR_ELEMENT_F32) {
        copy_row<GR_ELEMENT_F32>(p, row, by_four);
    } else if (p.type == GR_ELEMENT_F16) {
        copy_row<GR_ELEMENT_F16>(p, row, by_four);
    } else {
        copy_row<GR_ELEMENT_BF16>(p, row, by_four);
    }
}

// e_i = ||X_i||^2,   X: count x D (A, or A S under a metric), summed in binary64
// Bytes: 4 D a row read, 4 written. Never materialised: squares.
GR_KERNEL(gr_row_norms, GrRowNormsParams, 256) {
    const int64_t row = warp_in_grid();
    if (row >= p.count) {
        return;
    }
    const float* values = p.rows + row * p.columns;
    double sum = 0;
    for (int j = lane(); j < p.columns; j += WARP) {
        const double value = values[j];
        sum = fma(value, value, sum);
    }
    sum = warp_sum(sum);
    if (lane() == 0) {
        p.norms[row] = static_cast<float>(sum);
    }
}

// C += s sum over t of P_t,   P: parts x rows x columns in binary32 or binary64, C: binary64; s is 1 or -1. Of
// symmetric parts, which cuBLAS wrote half of, only what lies on and above the diagonal is read. Bytes: 16 a number, 4
// or 8 more a part. Never materialised: sums of some parts.
GR_KERNEL(gr_add_parts, GrAddPartsParams, 256) {
    const int64_t j = thread_in_grid();
    const int64_t i = blockIdx.y;
    if (j >= p.columns || (p.upper && j < i)) {
        return;
    }
    const int64_t at = i * p.columns + j;
    double sum = 0;
    if (p.wide) {
        for (int t = 0; t < p.count; t++) {
            sum += static_cast<const double*>(p.parts)[t * p.stride + at];
        }
    } else {
        for (int t = 0; t < p.count; t++) {
            sum += static_cast<const float*>(p.parts)[t * p.stride + at];
        }
    }
    p.sums[at] += p.sign * sum;
}

// X = T_0 + T_1 + T_2 + rest,   T_0: X rounded to bfloat16, T_1: X - T_0 rounded, ..;   |rest| <= 2^-24 |X|
// Bytes: 4 D a row read, 12 D written. Never materialised: remainders in binary32.
GR_KERNEL(gr_split_rows, GrSplitRowsParams, 256) {
    const int64_t row = warp_in_grid();
    if (row >= p.count) {
        return;
    }
    constexpr int PLACES = 6;
    const unsigned order = p.left ? 0x001012u : 0x010210u;  // four bits a place, the first one lowest: which term
    const int padded = (p.columns + 7) / 8 * 8;
    const float* values = p.values + row * p.columns;
    unsigned* terms = reinterpret_cast<unsigned*>(p.terms + row * PLACES * padded);
    for (int j = 2 * lane(); j < padded; j += 2 * WARP) {
        float x = j < p.columns ? values[j] : 0.0f;
        float y = j + 1 < p.columns ? values[j + 1] : 0.0f;
        const unsigned t0 = pack_bf16(x, y);
        x -= bits_float(t0 << 16);
        y -= bits_float(t0 & 0xffff0000u);
        const unsigned t1 = pack_bf16(x, y);
        const unsigned t2 = pack_bf16(x - bits_float(t1 << 16), y - bits_float(t1 & 0xffff0000u));
        const int chunk = j / GR_SPLIT_COLUMNS * GR_SPLIT_COLUMNS;
        const int width = min(GR_SPLIT_COLUMNS, padded - chunk);
        unsigned* pair = terms + (PLACES * chunk + j - chunk) / 2;
        GR_UNROLL
        for (int place = 0; place < PLACES; place++) {
            const unsigned term = order >> 4 * place & 3;
            pair[place * width / 2] = term == 0 ? t0 : term == 1 ? t1 : t2;
        }
    }
}

// X32 = X64, elementwise. Bytes: 12 a number.
GR_KERNEL(gr_narrow, GrNarrowParams, 256) {
    const int64_t x = thread_in_grid();
    if (x < p.count) {
        p.to[x] = static_cast<float>(p.from[x]);
    }
}

// kept_i,l = ||C_i[0 : r_l]||^2 for ascending ranks r_l,   C: count x k, the coordinates of rows in one basis
// Bytes: 4 k a row read, 4 a level written. Never materialised: squares, residuals.
GR_KERNEL(gr_prefix_energies, GrPrefixEnergiesParams, 256) {
    const int64_t row = warp_in_grid();
    if (row >= p.count) {
        return;
    }
    const float* coordinates = p.coordinates + row * p.width;
    float* kept = p.kept + row * p.stride;
    double total = 0;
    int j = lane();
    for (int l = 0; l < p.levels; l++) {
        double sum = 0;
        for (; j < p.ends[l]; j += WARP) {
            const double value = coordinates[j];
            sum = fma(value, value, sum);
        }
        total += warp_sum(sum);
        if (lane() == 0) {
            kept[l] = static_cast<float>(total);
        }
    }
}

// o(i, c) = w_i max(0, e_i - kept_i,c) + price_c;   best_i = the first c of least o(i, c),
// gain_i = o(i, current_i) - o(i, best_i);   kept: count x slots
// Bytes: 14 a row and 4 a slot. Never materialised: objectives.
GR_KERNEL(gr_choose_candidate, GrChooseCandidateParams, 256) {
    const int64_t row = thread_in_grid();
    if (row >= p.count) {
        return;
    }
    const float energy = p.energies[row];
    const double weight = p.weights[row];
    const float* kept = p.kept + row * p.slots;
    const int stays = p.current[row];
    int least = 0;
    double least_objective = 0, stay_objective = 0;
    for (int c = 0; c < p.candidates; c++) {
        const int slot = p.slots_of[c];
        const float residual = slot == GR_KEEPS_ALL       ? 0.0f
                               : slot == GR_KEEPS_NOTHING ? energy
                                                          : fmaxf(0.0f, energy - kept[slot]);
        const double objective = weight * residual + p.prices[c];
        if (c == 0 || objective < least_objective) {
            least = c;
            least_objective = objective;
        }
        if (c == stays) {
            stay_objective = objective;
        }
    }
    p.best[row] = static_cast<uint8_t>(least);
    p.gain[row] = static_cast<float>(stay_objective - least_objective);
}

// gain_i = w_i max(0, e_i - kept_i) + price,   for the listed rows i, which are in one candidate; price is what it
// costs more than dense
// Bytes: 20 a row. Never materialised: residuals.
GR_KERNEL(gr_gain_when_dense, GrGainWhenDenseParams, 256) {
    const int64_t x = thread_in_grid();
    if (x >= p.count) {
        return;
    }
    const int row = p.numbers[x];
    const float kept = p.kept == nullptr ? 0.0f : p.kept[x];
    const float residual = p.all ? 0.0f : fmaxf(0.0f, p.energies[row] - kept);
    p.gain[row] = static_cast<float>(static_cast<double>(p.weights[row]) * residual + p.price);
}

}  // namespace gr::compress
