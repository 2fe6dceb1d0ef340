#include <stdint.h>
#include <string.h>

#include "emulator.h"
#include "half.h"

namespace gr::emulator {

namespace {

constexpr int M = 16, N = 8, K = 16;

// Products are exact; each half of them is added to the sum and cut to binary32, which is what is published of tensor
// cores (Fasi, Higham, Mikaitis, Pranesh, "Numerical behavior of NVIDIA tensor cores", 2021), at its least favourable.
constexpr int ADDED = 8;

typedef double Row __attribute__((vector_size(N * sizeof(double))));
typedef int64_t RowMask __attribute__((vector_size(N * sizeof(int64_t))));
typedef float FloatRow __attribute__((vector_size(N * sizeof(float))));
typedef int32_t IntRow __attribute__((vector_size(N * sizeof(int32_t))));

float bf16(unsigned bits) {
    bits <<= 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// sum += left right, in halves of the inner dimension; most of the time of an emulated softmax is spent here.
void add_products(FloatRow (&sum)[M], const double (&left)[M][K], const Row (&right)[K]) {
    for (int m = 0; m < M; m++) {
        for (int half = 0; half < K; half += ADDED) {
            Row row = __builtin_convertvector(sum[m], Row);
            for (int k = half; k < half + ADDED; k++) {
                row += left[m][k] * right[k];
            }
            // The nearest binary32, and one less where that is larger in magnitude; but what is too large is infinite.
            const FloatRow nearest = __builtin_convertvector(row, FloatRow);
            const Row back = __builtin_convertvector(nearest, Row);
            const RowMask larger = (back < 0 ? -back : back) > (row < 0 ? -row : row);
            IntRow bits = (IntRow)nearest;
            const IntRow finite = (bits & 0x7fffffff) != 0x7f800000;
            bits += __builtin_convertvector(larger, IntRow) & finite;
            sum[m] = (FloatRow)bits;
        }
    }
}

}  // namespace

void multiply(Pairs pairs, float (&d)[WARP][4], const unsigned (&a)[WARP][4], const unsigned (&b)[WARP][2]) {
    float (*const number)(unsigned) = pairs == Pairs::F16 ? from_f16 : bf16;
    const auto low = [number](unsigned pair) { return number(pair & 0xffffu); };
    const auto high = [number](unsigned pair) { return number(pair >> 16); };
    double left[M][K];
    Row right[K];
    FloatRow sum[M];
    for (int lane = 0; lane < WARP; lane++) {
        const int g = lane / 4, t = 2 * (lane % 4);
        for (int half = 0; half < 2; half++) {
            left[g][t + 8 * half] = low(a[lane][2 * half]);
            left[g][t + 8 * half + 1] = high(a[lane][2 * half]);
            left[g + 8][t + 8 * half] = low(a[lane][2 * half + 1]);
            left[g + 8][t + 8 * half + 1] = high(a[lane][2 * half + 1]);
            right[t + 8 * half][g] = low(b[lane][half]);
            right[t + 8 * half + 1][g] = high(b[lane][half]);
            sum[g + 8 * half][t] = d[lane][2 * half];
            sum[g + 8 * half][t + 1] = d[lane][2 * half + 1];
        }
    }
    add_products(sum, left, right);
    for (int lane = 0; lane < WARP; lane++) {
        const int g = lane / 4, t = 2 * (lane % 4);
        for (int half = 0; half < 2; half++) {
            d[lane][2 * half] = sum[g + 8 * half][t];
            d[lane][2 * half + 1] = sum[g + 8 * half][t + 1];
        }
    }
}

void multiply_bytes(int inner, int (&d)[WARP][4], const unsigned (&a)[WARP][4], const unsigned (&b)[WARP][2]) {
    // Sums wrap as the hardware's do, so in unsigned numbers.
    typedef uint32_t Sums __attribute__((vector_size(N * sizeof(uint32_t))));
    uint32_t left[M][32] = {};
    Sums right[32] = {}, sum[M];
    for (int lane = 0; lane < WARP; lane++) {
        const int g = lane / 4, t = lane % 4;
        for (int i = 0; i < 4; i++) {
            for (int byte = 0; byte < 4; byte++) {
                left[g + i % 2 * 8][16 * (i / 2) + 4 * t + byte] = a[lane][i] >> 8 * byte & 0xff;
            }
            sum[g + i / 2 * 8][2 * t + i % 2] = static_cast<uint32_t>(d[lane][i]);
        }
        for (int i = 0; i < 2; i++) {
            for (int byte = 0; byte < 4; byte++) {
                const int8_t number = static_cast<int8_t>(b[lane][i] >> 8 * byte & 0xff);
                right[16 * i + 4 * t + byte][g] = static_cast<uint32_t>(number);
            }
        }
    }
    for (int m = 0; m < M; m++) {
        for (int k = 0; k < inner; k++) {
            sum[m] += left[m][k] * right[k];
        }
    }
    for (int lane = 0; lane < WARP; lane++) {
        for (int i = 0; i < 4; i++) {
            d[lane][i] = static_cast<int>(sum[lane / 4 + i / 2 * 8][2 * (lane % 4) + i % 2]);
        }
    }
}

}  // namespace gr::emulator
