// A stand-in for libcublas.so.13 on host memory: the functions that io.groupreduce.cuda.blas.Cublas calls, in the forms
// in which it calls them, with cuBLAS's own C signatures, argument checks and status codes. Matrices are column-major.
// Every sum is taken in double and rounded once, but sums of bfloat16, which tensor cores cut; the order of a sum is
// the index's, so results are the same on every machine. Scalars are read at the call, matrices when the stream comes
// to it. There is no use for workspaces.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "library_queue.h"

namespace {

// cublasStatus_t
constexpr int SUCCESS = 0;
constexpr int NOT_INITIALIZED = 1;
constexpr int INVALID_VALUE = 7;
constexpr int EXECUTION_FAILED = 13;
constexpr int NOT_SUPPORTED = 15;

// cublasOperation_t, cublasFillMode_t, cublasSideMode_t, cublasDiagType_t
constexpr int OP_N = 0;
constexpr int OP_T = 1;
constexpr int LOWER = 0;
constexpr int RIGHT = 1;
constexpr int NON_UNIT = 0;

// cudaDataType_t, cublasComputeType_t
constexpr int R_32F = 0;
constexpr int R_16BF = 14;
constexpr int COMPUTE_32F = 68;

constexpr int VERSION = 130000;
constexpr size_t ADDED = 8;
constexpr uint64_t ALIVE = 0x6772626c61737631;

struct Handle {
    uint64_t alive = ALIVE;
    void* stream = nullptr;
};

struct Bf16 {
    uint16_t bits;
};

double value(double x) { return x; }

double value(float x) { return x; }

double value(Bf16 x) {
    const uint32_t bits = static_cast<uint32_t>(x.bits) << 16;
    float result;
    memcpy(&result, &bits, sizeof result);
    return result;
}

bool alive(const Handle* handle) { return handle != nullptr && handle->alive == ALIVE; }

bool is_operation(int op) { return op == OP_N || op == OP_T; }

int at_least_one(int n) { return n > 1 ? n : 1; }

size_t column(int j, int leading) { return static_cast<size_t>(j) * static_cast<size_t>(leading); }

struct Shape {
    int op_a, op_b, m, n, k, lda, ldb, ldc;
};

bool valid(const Shape& s) {
    return is_operation(s.op_a) && is_operation(s.op_b) && s.m >= 0 && s.n >= 0 && s.k >= 0 &&
           s.lda >= at_least_one(s.op_a == OP_N ? s.m : s.k) && s.ldb >= at_least_one(s.op_b == OP_N ? s.k : s.n) &&
           s.ldc >= at_least_one(s.m);
}

// c = alpha op(a) op(b) + beta c, or its lower triangle alone; c is not read when beta is 0.
template <class A, class C>
void multiply(const Shape& s, double alpha, const A* a, const A* b, double beta, C* c, bool lower = false) {
    std::vector<double> right(static_cast<size_t>(s.k)), sum(static_cast<size_t>(s.m));
    for (int j = 0; j < s.n; j++) {
        for (int p = 0; p < s.k; p++) {
            right[p] = value(s.op_b == OP_N ? b[p + column(j, s.ldb)] : b[j + column(p, s.ldb)]);
        }
        const int from = lower ? j : 0;
        if (s.op_a == OP_N) {
            std::fill(sum.begin(), sum.end(), 0.0);
            for (int p = 0; p < s.k; p++) {
                const A* left = a + column(p, s.lda);
                const double factor = right[p];
                for (int i = from; i < s.m; i++) {
                    sum[i] += value(left[i]) * factor;
                }
            }
        } else {
            for (int i = from; i < s.m; i++) {
                const A* left = a + column(i, s.lda);
                double dot = 0;
                for (int p = 0; p < s.k; p++) {
                    dot += value(left[p]) * right[p];
                }
                sum[i] = dot;
            }
        }
        C* result = c + column(j, s.ldc);
        for (int i = from; i < s.m; i++) {
            result[i] = static_cast<C>(beta == 0 ? alpha * sum[i] : alpha * sum[i] + beta * value(result[i]));
        }
    }
}

// The sum of products of bfloat16 as tensor cores take it, at its least favourable (see mma.cpp): eight products at a
// time are added to the sum, which is cut to binary32.
float cut_dot(const std::vector<double>& left, const std::vector<double>& right) {
    float sum = 0;
    for (size_t p = 0; p < left.size(); p += ADDED) {
        double exact = sum;
        for (size_t q = p; q < std::min(left.size(), p + ADDED); q++) {
            exact += left[q] * right[q];
        }
        sum = static_cast<float>(exact);
        if (std::isfinite(sum) && std::fabs(sum) > std::fabs(exact)) {
            sum = std::nextafter(sum, 0.0f);
        }
    }
    return sum;
}

// c = alpha op(a) op(b) + beta c of bfloat16; c, in binary32, is not read when beta is 0.
void multiply_cut(const Shape& s, float alpha, const Bf16* a, const Bf16* b, float beta, float* c) {
    std::vector<std::vector<double>> left(static_cast<size_t>(s.m), std::vector<double>(static_cast<size_t>(s.k)));
    for (int i = 0; i < s.m; i++) {
        for (int p = 0; p < s.k; p++) {
            left[i][p] = value(s.op_a == OP_N ? a[i + column(p, s.lda)] : a[p + column(i, s.lda)]);
        }
    }
    std::vector<double> right(static_cast<size_t>(s.k));
    for (int j = 0; j < s.n; j++) {
        for (int p = 0; p < s.k; p++) {
            right[p] = value(s.op_b == OP_N ? b[p + column(j, s.ldb)] : b[j + column(p, s.ldb)]);
        }
        float* result = c + column(j, s.ldc);
        for (int i = 0; i < s.m; i++) {
            const float product = alpha * cut_dot(left[i], right);
            result[i] = beta == 0 ? product : product + beta * result[i];
        }
    }
}

int check(const Handle* handle, bool valid) {
    return !alive(handle) ? NOT_INITIALIZED : valid ? SUCCESS : INVALID_VALUE;
}

template <class Work>
int enqueue(const Handle* handle, Work work) {
    const auto whole = [work] {
        work();
        return 0;
    };
    return gr::library::enqueue(handle->stream, whole) ? SUCCESS : EXECUTION_FAILED;
}

template <class T>
int gemm(const Handle* handle, const Shape& s, const T* alpha, const T* a, const T* b, const T* beta, T* c) {
    const int status = check(handle, valid(s) && alpha != nullptr && beta != nullptr);
    if (status != SUCCESS) {
        return status;
    }
    return enqueue(handle, [s, alpha = *alpha, a, b, beta = *beta, c] { multiply(s, alpha, a, b, beta, c); });
}

// The same of a batch at fixed distances.
template <class T>
int gemm_strided(const Handle* handle, const Shape& s, const T* alpha, const T* a, long long stride_a, const T* b,
                 long long stride_b, const T* beta, T* c, long long stride_c, int batch) {
    // Results must not share a number.
    const bool apart = batch <= 1 || stride_c >= static_cast<long long>(s.ldc) * (s.n - 1) + s.m;
    int status = check(handle, batch >= 0 && apart);
    for (int t = 0; t < batch && status == SUCCESS; t++) {
        status = gemm(handle, s, alpha, a + t * stride_a, b + t * stride_b, beta, c + t * stride_c);
    }
    return status;
}

template <class T>
int syrk(const Handle* handle, int fill, int op, int n, int k, const T* alpha, const T* a, int lda, const T* beta, T* c,
         int ldc) {
    const Shape s{op, op == OP_N ? OP_T : OP_N, n, n, k, lda, lda, ldc};
    const int status = check(handle, fill == LOWER && valid(s) && alpha != nullptr && beta != nullptr);
    if (status != SUCCESS) {
        return status;
    }
    return enqueue(handle, [s, alpha = *alpha, a, beta = *beta, c] { multiply(s, alpha, a, a, beta, c, true); });
}

// x l^T = alpha b, l lower triangular, n x n, b m x n: column j of x, which takes the place of b, needs those before
// it.
void solve(int m, int n, double alpha, const double* l, int ldl, double* b, int ldb) {
    for (int j = 0; j < n; j++) {
        double* x = b + column(j, ldb);
        for (int i = 0; i < m; i++) {
            x[i] *= alpha;
        }
        for (int p = 0; p < j; p++) {
            const double factor = l[j + column(p, ldl)];
            const double* solved = b + column(p, ldb);
            for (int i = 0; i < m; i++) {
                x[i] -= factor * solved[i];
            }
        }
        for (int i = 0; i < m; i++) {
            x[i] /= l[j + column(j, ldl)];
        }
    }
}

}  // namespace

#define API extern "C" __attribute__((visibility("default"))) int

API cublasCreate_v2(Handle** handle) {
    if (handle == nullptr) {
        return INVALID_VALUE;
    }
    if (!gr::library::usable()) {
        return NOT_INITIALIZED;
    }
    *handle = new Handle();
    return SUCCESS;
}

API cublasDestroy_v2(Handle* handle) {
    if (!alive(handle)) {
        return NOT_INITIALIZED;
    }
    handle->alive = 0;
    delete handle;
    return SUCCESS;
}

API cublasGetVersion_v2(Handle* handle, int* version) {
    *version = VERSION;
    return check(handle, true);
}

API cublasSetStream_v2(Handle* handle, void* stream) {
    const int status = check(handle, true);
    if (status == SUCCESS) {
        handle->stream = stream;
    }
    return status;
}

API cublasSetWorkspace_v2(Handle* handle, void* workspace, size_t) {
    return check(handle, reinterpret_cast<uintptr_t>(workspace) % 256 == 0);
}

API cublasSetMathMode(Handle* handle, int) { return check(handle, true); }

API cublasDgemm_v2(Handle* handle, int op_a, int op_b, int m, int n, int k, const double* alpha, const double* a,
                   int lda, const double* b, int ldb, const double* beta, double* c, int ldc) {
    return gemm(handle, {op_a, op_b, m, n, k, lda, ldb, ldc}, alpha, a, b, beta, c);
}

API cublasSgemm_v2(Handle* handle, int op_a, int op_b, int m, int n, int k, const float* alpha, const float* a, int lda,
                   const float* b, int ldb, const float* beta, float* c, int ldc) {
    return gemm(handle, {op_a, op_b, m, n, k, lda, ldb, ldc}, alpha, a, b, beta, c);
}

API cublasDgemmBatched(Handle* handle, int op_a, int op_b, int m, int n, int k, const double* alpha,
                       const double* const* a, int lda, const double* const* b, int ldb, const double* beta,
                       double* const* c, int ldc, int batch) {
    const Shape s{op_a, op_b, m, n, k, lda, ldb, ldc};
    const int status = check(handle, valid(s) && batch >= 0 && alpha != nullptr && beta != nullptr);
    if (status != SUCCESS) {
        return status;
    }
    return enqueue(handle, [s, alpha = *alpha, a, b, beta = *beta, c, batch] {
        for (int t = 0; t < batch; t++) {
            multiply(s, alpha, a[t], b[t], beta, c[t]);
        }
    });
}

API cublasDgemmStridedBatched(Handle* handle, int op_a, int op_b, int m, int n, int k, const double* alpha,
                              const double* a, int lda, long long stride_a, const double* b, int ldb,
                              long long stride_b, const double* beta, double* c, int ldc, long long stride_c,
                              int batch) {
    return gemm_strided(handle, {op_a, op_b, m, n, k, lda, ldb, ldc}, alpha, a, stride_a, b, stride_b, beta, c,
                        stride_c, batch);
}

API cublasSgemmStridedBatched(Handle* handle, int op_a, int op_b, int m, int n, int k, const float* alpha,
                              const float* a, int lda, long long stride_a, const float* b, int ldb, long long stride_b,
                              const float* beta, float* c, int ldc, long long stride_c, int batch) {
    return gemm_strided(handle, {op_a, op_b, m, n, k, lda, ldb, ldc}, alpha, a, stride_a, b, stride_b, beta, c,
                        stride_c, batch);
}

API cublasDsyrk_v2(Handle* handle, int fill, int op, int n, int k, const double* alpha, const double* a, int lda,
                   const double* beta, double* c, int ldc) {
    return syrk(handle, fill, op, n, k, alpha, a, lda, beta, c, ldc);
}

API cublasSsyrk_v2(Handle* handle, int fill, int op, int n, int k, const float* alpha, const float* a, int lda,
                   const float* beta, float* c, int ldc) {
    return syrk(handle, fill, op, n, k, alpha, a, lda, beta, c, ldc);
}

API cublasDtrsmBatched(Handle* handle, int side, int fill, int op, int diagonal, int m, int n, const double* alpha,
                       const double* const* a, int lda, double* const* b, int ldb, int batch) {
    const bool form = side == RIGHT && fill == LOWER && op == OP_T && diagonal == NON_UNIT && alpha != nullptr;
    const bool sizes = m >= 0 && n >= 0 && lda >= at_least_one(n) && ldb >= at_least_one(m) && batch >= 0;
    const int status = check(handle, form && sizes);
    if (status != SUCCESS) {
        return status;
    }
    return enqueue(handle, [m, n, alpha = *alpha, a, lda, b, ldb, batch] {
        for (int x = 0; x < batch; x++) {
            solve(m, n, alpha, a[x], lda, b[x], ldb);
        }
    });
}

API cublasGemmEx(Handle* handle, int op_a, int op_b, int m, int n, int k, const void* alpha, const void* a, int type_a,
                 int lda, const void* b, int type_b, int ldb, const void* beta, void* c, int type_c, int ldc,
                 int compute, int) {
    const Shape s{op_a, op_b, m, n, k, lda, ldb, ldc};
    const int status = check(handle, valid(s) && alpha != nullptr && beta != nullptr);
    if (status != SUCCESS) {
        return status;
    }
    if (type_a != R_16BF || type_b != R_16BF || type_c != R_32F || compute != COMPUTE_32F) {
        return NOT_SUPPORTED;
    }
    return enqueue(handle, [s, alpha = *static_cast<const float*>(alpha), left = static_cast<const Bf16*>(a),
                            right = static_cast<const Bf16*>(b), beta = *static_cast<const float*>(beta),
                            result = static_cast<float*>(c)] { multiply_cut(s, alpha, left, right, beta, result); });
}
