// A stand-in for libcublas.so.13 on host memory: the functions that io.groupreduce.cuda.blas.Cublas calls, with
// cuBLAS's own C signatures, argument checks and status codes. Matrices are column-major. Every sum is taken in double
// and rounded once; the order of a sum is the index's, so results are the same on every machine. A call is done when it
// returns: streams and workspaces are only kept.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <algorithm>
#include <vector>

namespace {

// cublasStatus_t
constexpr int SUCCESS = 0;
constexpr int NOT_INITIALIZED = 1;
constexpr int INVALID_VALUE = 7;
constexpr int NOT_SUPPORTED = 15;

// cublasOperation_t, cublasFillMode_t, cublasSideMode_t, cublasDiagType_t, cublasPointerMode_t
constexpr int OP_N = 0;
constexpr int OP_C = 2;
constexpr int LOWER = 0;
constexpr int UPPER = 1;
constexpr int LEFT = 0;
constexpr int RIGHT = 1;
constexpr int UNIT = 1;

// cudaDataType_t, cublasComputeType_t
constexpr int R_32F = 0;
constexpr int R_64F = 1;
constexpr int R_16BF = 14;
constexpr int COMPUTE_32F = 68;
constexpr int COMPUTE_64F = 70;

constexpr int VERSION = 130000;
constexpr uint64_t ALIVE = 0x6772626c61737631;

struct Handle {
    uint64_t alive = ALIVE;
    void* stream = nullptr;
    void* workspace = nullptr;
    size_t workspace_bytes = 0;
    int math_mode = 0;
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

bool is_operation(int op) { return op >= OP_N && op <= OP_C; }

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

// c = alpha op(a) op(b) + beta c; c is not read when beta is 0. rows_from(j) and rows_to(j) bound the rows that are
// written.
template <class A, class C, class From, class To>
void multiply(const Shape& s, double alpha, const A* a, const A* b, double beta, C* c, From rows_from, To rows_to) {
    std::vector<double> right(static_cast<size_t>(s.k)), sum(static_cast<size_t>(s.m));
    for (int j = 0; j < s.n; j++) {
        for (int p = 0; p < s.k; p++) {
            right[p] = value(s.op_b == OP_N ? b[p + column(j, s.ldb)] : b[j + column(p, s.ldb)]);
        }
        const int from = rows_from(j), to = rows_to(j);
        if (s.op_a == OP_N) {
            std::fill(sum.begin(), sum.end(), 0.0);
            for (int p = 0; p < s.k; p++) {
                const A* left = a + column(p, s.lda);
                const double factor = right[p];
                for (int i = from; i < to; i++) {
                    sum[i] += value(left[i]) * factor;
                }
            }
        } else {
            for (int i = from; i < to; i++) {
                const A* left = a + column(i, s.lda);
                double dot = 0;
                for (int p = 0; p < s.k; p++) {
                    dot += value(left[p]) * right[p];
                }
                sum[i] = dot;
            }
        }
        C* result = c + column(j, s.ldc);
        for (int i = from; i < to; i++) {
            result[i] = static_cast<C>(beta == 0 ? alpha * sum[i] : alpha * sum[i] + beta * value(result[i]));
        }
    }
}

template <class A, class C>
void multiply(const Shape& s, double alpha, const A* a, const A* b, double beta, C* c) {
    multiply(s, alpha, a, b, beta, c, [](int) { return 0; }, [&s](int) { return s.m; });
}

template <class T>
int gemm(const Handle* handle, const Shape& s, const T* alpha, const T* a, const T* b, const T* beta, T* c) {
    if (!alive(handle)) {
        return NOT_INITIALIZED;
    }
    if (!valid(s) || alpha == nullptr || beta == nullptr) {
        return INVALID_VALUE;
    }
    multiply(s, *alpha, a, b, *beta, c);
    return SUCCESS;
}

template <class T>
int syrk(const Handle* handle, int fill, int op, int n, int k, const T* alpha, const T* a, int lda, const T* beta, T* c,
         int ldc) {
    if (!alive(handle)) {
        return NOT_INITIALIZED;
    }
    const Shape s{op, op == OP_N ? 1 : OP_N, n, n, k, lda, lda, ldc};
    if ((fill != LOWER && fill != UPPER) || !valid(s) || alpha == nullptr || beta == nullptr) {
        return INVALID_VALUE;
    }
    multiply(s, *alpha, a, a, *beta, c, [fill](int j) { return fill == LOWER ? j : 0; },
             [fill, n](int j) { return fill == LOWER ? n : j + 1; });
    return SUCCESS;
}

struct Triangle {
    int side, fill, op, diagonal, m, n, lda, ldb;

    bool valid() const {
        return (side == LEFT || side == RIGHT) && (fill == LOWER || fill == UPPER) && is_operation(op) &&
               (diagonal == 0 || diagonal == UNIT) && m >= 0 && n >= 0 && lda >= at_least_one(side == LEFT ? m : n) &&
               ldb >= at_least_one(m);
    }

    // Element (i, j) of op(a).
    double at(const double* a, int i, int j) const {
        if (i == j && diagonal == UNIT) {
            return 1;
        }
        return op == OP_N ? a[i + column(j, lda)] : a[j + column(i, lda)];
    }

    bool lower() const { return (fill == LOWER) == (op == OP_N); }
};

// op(a) x = alpha b, a column of b at a time.
void solve_left(const Triangle& t, double alpha, const double* a, double* b) {
    for (int j = 0; j < t.n; j++) {
        double* x = b + column(j, t.ldb);
        for (int step = 0; step < t.m; step++) {
            const int i = t.lower() ? step : t.m - 1 - step;
            double sum = alpha * x[i];
            for (int p = t.lower() ? 0 : i + 1; p < (t.lower() ? i : t.m); p++) {
                sum -= t.at(a, i, p) * x[p];
            }
            x[i] = sum / t.at(a, i, i);
        }
    }
}

// x op(a) = alpha b: column j of x needs the columns before it (op(a) upper) or after it (lower).
void solve_right(const Triangle& t, double alpha, const double* a, double* b) {
    for (int step = 0; step < t.n; step++) {
        const int j = t.lower() ? t.n - 1 - step : step;
        double* x = b + column(j, t.ldb);
        for (int i = 0; i < t.m; i++) {
            x[i] *= alpha;
        }
        for (int p = t.lower() ? j + 1 : 0; p < (t.lower() ? t.n : j); p++) {
            const double factor = t.at(a, p, j);
            const double* solved = b + column(p, t.ldb);
            for (int i = 0; i < t.m; i++) {
                x[i] -= factor * solved[i];
            }
        }
        const double pivot = t.at(a, j, j);
        for (int i = 0; i < t.m; i++) {
            x[i] /= pivot;
        }
    }
}

void solve(const Triangle& t, double alpha, const double* a, double* b) {
    if (t.side == LEFT) {
        solve_left(t, alpha, a, b);
    } else {
        solve_right(t, alpha, a, b);
    }
}

}  // namespace

#define API extern "C" __attribute__((visibility("default"))) int

API cublasCreate_v2(Handle** handle) {
    if (handle == nullptr) {
        return INVALID_VALUE;
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
    if (!alive(handle)) {
        return NOT_INITIALIZED;
    }
    *version = VERSION;
    return SUCCESS;
}

// As the real one does, forgets a workspace set before.
API cublasSetStream_v2(Handle* handle, void* stream) {
    if (!alive(handle)) {
        return NOT_INITIALIZED;
    }
    handle->stream = stream;
    handle->workspace = nullptr;
    handle->workspace_bytes = 0;
    return SUCCESS;
}

API cublasSetWorkspace_v2(Handle* handle, void* workspace, size_t bytes) {
    if (!alive(handle)) {
        return NOT_INITIALIZED;
    }
    if (reinterpret_cast<uintptr_t>(workspace) % 256 != 0) {
        return INVALID_VALUE;
    }
    handle->workspace = workspace;
    handle->workspace_bytes = bytes;
    return SUCCESS;
}

API cublasSetMathMode(Handle* handle, int mode) {
    if (!alive(handle)) {
        return NOT_INITIALIZED;
    }
    handle->math_mode = mode;
    return SUCCESS;
}

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
    if (!alive(handle)) {
        return NOT_INITIALIZED;
    }
    if (!valid(s) || batch < 0 || alpha == nullptr || beta == nullptr) {
        return INVALID_VALUE;
    }
    for (int t = 0; t < batch; t++) {
        multiply(s, *alpha, a[t], b[t], *beta, c[t]);
    }
    return SUCCESS;
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
    const Triangle t{side, fill, op, diagonal, m, n, lda, ldb};
    if (!alive(handle)) {
        return NOT_INITIALIZED;
    }
    if (!t.valid() || alpha == nullptr || batch < 0) {
        return INVALID_VALUE;
    }
    for (int x = 0; x < batch; x++) {
        solve(t, *alpha, a[x], b[x]);
    }
    return SUCCESS;
}

API cublasGemmEx(Handle* handle, int op_a, int op_b, int m, int n, int k, const void* alpha, const void* a, int type_a,
                 int lda, const void* b, int type_b, int ldb, const void* beta, void* c, int type_c, int ldc,
                 int compute, int) {
    const Shape s{op_a, op_b, m, n, k, lda, ldb, ldc};
    if (!alive(handle)) {
        return NOT_INITIALIZED;
    }
    if (!valid(s) || alpha == nullptr || beta == nullptr) {
        return INVALID_VALUE;
    }
    if (type_a == R_16BF && type_b == R_16BF && type_c == R_32F && compute == COMPUTE_32F) {
        multiply(s, *static_cast<const float*>(alpha), static_cast<const Bf16*>(a), static_cast<const Bf16*>(b),
                 *static_cast<const float*>(beta), static_cast<float*>(c));
    } else if (type_a == R_32F && type_b == R_32F && type_c == R_32F && compute == COMPUTE_32F) {
        multiply(s, *static_cast<const float*>(alpha), static_cast<const float*>(a), static_cast<const float*>(b),
                 *static_cast<const float*>(beta), static_cast<float*>(c));
    } else if (type_a == R_64F && type_b == R_64F && type_c == R_64F && compute == COMPUTE_64F) {
        multiply(s, *static_cast<const double*>(alpha), static_cast<const double*>(a), static_cast<const double*>(b),
                 *static_cast<const double*>(beta), static_cast<double*>(c));
    } else {
        return NOT_SUPPORTED;
    }
    return SUCCESS;
}
