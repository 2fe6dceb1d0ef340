// A stand-in for libcusolver.so.12 on host memory: the functions that io.groupreduce.cuda.blas.Cusolver calls, with
// cuSOLVER's own C signatures, argument checks and status codes. Matrices are column-major and FP64.
//
// Symmetric eigenproblems: Householder reduction to a tridiagonal matrix, then QL steps with Wilkinson's shift (Golub
// and Van Loan, Matrix Computations, sections 8.3.1 and 8.3.3). Eigenvalues ascend, as cuSOLVER's do. Workspaces are
// asked for and, as the older ones of cusolverDnXsyevBatched did, must come zeroed: one that is not fails. Matrices and
// workspaces on the device are looked at when the stream comes to it.
#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "library_queue.h"

namespace {

// cusolverStatus_t
constexpr int SUCCESS = 0;
constexpr int NOT_INITIALIZED = 1;
constexpr int INVALID_VALUE = 3;
constexpr int EXECUTION_FAILED = 6;

constexpr int VECTORS = 1;  // cusolverEigMode_t
constexpr int LOWER = 0;    // cublasFillMode_t
constexpr int R_64F = 1;    // cudaDataType_t

constexpr uint64_t ALIVE = 0x6772736f6c766572;
constexpr int MAX_STEPS = 60;

struct Handle {
    uint64_t alive = ALIVE;
    void* stream = nullptr;
};

using Params = Handle;

bool alive(const Handle* handle) { return handle != nullptr && handle->alive == ALIVE; }

int create(Handle** handle) {
    *handle = new Handle();
    return SUCCESS;
}

int destroy(Handle* handle) {
    if (!alive(handle)) {
        return NOT_INITIALIZED;
    }
    handle->alive = 0;
    delete handle;
    return SUCCESS;
}

size_t column(int64_t j, int64_t leading) { return static_cast<size_t>(j * leading); }

// One symmetric eigenproblem of order n; q holds the columns of the orthogonal matrix found so far.
class Eigen {
public:
    explicit Eigen(int64_t order) : n(order), q(column(order, order)), d(order), e(order) {}

    // Reads the lower triangle of a, and leaves the eigenvectors in a, the eigenvalues in w, ascending. False when QL
    // does not converge.
    bool solve(double* a, int64_t lda, double* w) {
        for (int64_t j = 0; j < n; j++) {
            for (int64_t i = 0; i < n; i++) {
                q[i + j * n] = i >= j ? a[i + column(j, lda)] : a[j + column(i, lda)];
            }
        }
        reduce();
        if (!iterate() || !std::all_of(d.begin(), d.end(), [](double x) { return isfinite(x); })) {
            return false;
        }
        std::vector<int64_t> order(n);
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [this](int64_t x, int64_t y) { return d[x] < d[y]; });
        for (int64_t j = 0; j < n; j++) {
            w[j] = d[order[j]];
            std::copy_n(&q[order[j] * n], n, a + column(j, lda));
        }
        return true;
    }

private:
    // q becomes Q with Q^T a Q = tridiagonal(e, d, e). Reflector c clears column c below its subdiagonal: H = I - tau v
    // v^T.
    void reduce() {
        std::vector<double> p(n), tau(n);
        for (int64_t c = 0; c + 1 < n; c++) {
            double* v = &q[c * n];
            double tail = 0;
            for (int64_t i = c + 2; i < n; i++) {
                tail += v[i] * v[i];
            }
            d[c] = v[c];
            const double head = v[c + 1];
            if (tail == 0) {
                tau[c] = 0;
                e[c] = head;
                continue;
            }
            const double length = sqrt(head * head + tail);
            const double alpha = head > 0 ? -length : length;
            tau[c] = (alpha - head) / alpha;
            const double scale = 1 / (head - alpha);
            v[c + 1] = 1;
            for (int64_t i = c + 2; i < n; i++) {
                v[i] *= scale;
            }
            e[c] = alpha;
            apply_both_sides(v, c + 1, tau[c], p);
        }
        if (n > 0) {
            d[n - 1] = q[(n - 1) * n + n - 1];
        }
        accumulate(tau);
    }

    // The trailing block from `first` on becomes H B H: B - v u^T - u v^T with u = p - (tau / 2) (p^T v) v, p = tau B
    // v.
    void apply_both_sides(const double* v, int64_t first, double tau, std::vector<double>& p) {
        std::fill(p.begin() + first, p.end(), 0.0);
        for (int64_t j = first; j < n; j++) {
            const double factor = tau * v[j];
            const double* b = &q[j * n];
            for (int64_t i = first; i < n; i++) {
                p[i] += factor * b[i];
            }
        }
        double dot = 0;
        for (int64_t i = first; i < n; i++) {
            dot += p[i] * v[i];
        }
        for (int64_t i = first; i < n; i++) {
            p[i] -= 0.5 * tau * dot * v[i];
        }
        for (int64_t j = first; j < n; j++) {
            double* b = &q[j * n];
            for (int64_t i = first; i < n; i++) {
                b[i] -= v[i] * p[j] + p[i] * v[j];
            }
        }
    }

    // q becomes H_0 H_1 ... H_{n-2}, from the last reflector backwards: reflector c touches rows and columns from c + 1
    // on.
    void accumulate(const std::vector<double>& tau) {
        std::vector<double> v(n);
        for (int64_t c = n - 1; c >= 0; c--) {
            double* own = &q[c * n];
            if (c < n - 1) {
                std::copy(own + c + 1, own + n, v.begin() + c + 1);
                v[c + 1] = 1;
                // Column c + 1 of the product so far is a unit vector below the diagonal.
                for (int64_t j = c + 1; j < n && tau[c] != 0; j++) {
                    double* x = &q[j * n];
                    double dot = 0;
                    for (int64_t i = c + 1; i < n; i++) {
                        dot += v[i] * x[i];
                    }
                    dot *= tau[c];
                    for (int64_t i = c + 1; i < n; i++) {
                        x[i] -= dot * v[i];
                    }
                }
            }
            std::fill(own, own + n, 0.0);
            own[c] = 1;
            for (int64_t j = c + 1; j < n; j++) {
                q[j * n + c] = 0;
            }
        }
    }

    // QL with implicit shifts on (d, e); the rotations are applied to the columns of q.
    bool iterate() {
        double norm = 0;
        for (int64_t i = 0; i < n; i++) {
            norm = std::max(norm, fabs(d[i]) + fabs(e[i]));
        }
        const double negligible = DBL_EPSILON * norm;
        for (int64_t low = 0; low < n; low++) {
            for (int step = 0;; step++) {
                int64_t high = low;
                while (high + 1 < n && fabs(e[high]) > negligible) {
                    high++;
                }
                if (high == low) {
                    break;
                }
                if (step == MAX_STEPS || !isfinite(e[low])) {
                    return false;
                }
                sweep(low, high);
            }
        }
        return true;
    }

    // Chases a bulge from row `high` up to row `low`.
    void sweep(int64_t low, int64_t high) {
        const double delta = (d[low + 1] - d[low]) / (2 * e[low]);
        const double shift = d[low] - e[low] / (delta + copysign(hypot(delta, 1.0), delta));
        double g = d[high] - shift, c = 1, s = 1, carried = 0;
        for (int64_t i = high - 1; i >= low; i--) {
            const double f = s * e[i], b = c * e[i];
            const double r = hypot(f, g);
            e[i + 1] = r;
            if (r == 0) {
                d[i + 1] -= carried;
                e[high] = 0;
                return;
            }
            s = f / r;
            c = g / r;
            const double corner = d[i + 1] - carried;
            const double t = (d[i] - corner) * s + 2 * c * b;
            carried = s * t;
            d[i + 1] = corner + carried;
            g = c * t - b;
            double *left = &q[i * n], *right = &q[(i + 1) * n];
            for (int64_t k = 0; k < n; k++) {
                const double x = right[k];
                right[k] = s * left[k] + c * x;
                left[k] = c * left[k] - s * x;
            }
        }
        d[low] -= carried;
        e[low] = g;
        e[high] = 0;
    }

    int64_t n;
    std::vector<double> q, d, e;
};

bool zeroed(const void* workspace, size_t bytes) {
    const auto* at = static_cast<const unsigned char*>(workspace);
    return std::all_of(at, at + bytes, [](unsigned char byte) { return byte == 0; });
}

struct Types {
    int a, w, compute;
};

int check(const Handle* handle, const Params* params, int mode, int fill, int64_t n, int64_t lda, const Types& types) {
    if (!alive(handle) || !alive(params)) {
        return NOT_INITIALIZED;
    }
    const bool doubles = types.a == R_64F && types.w == R_64F && types.compute == R_64F;
    const bool valid = mode == VECTORS && fill == LOWER && n >= 0 && lda >= std::max<int64_t>(1, n) && doubles;
    return valid ? SUCCESS : INVALID_VALUE;
}

size_t workspace_bytes(int64_t n, int64_t batch) { return sizeof(double) * static_cast<size_t>(n * batch + 1); }

// The Cholesky factor in the lower triangle; returns 0 or which leading minor is not positive. As in the real one, the
// other triangle is workspace: it is overwritten.
int factor(double* a, int n, int lda) {
    for (int j = 0; j < n; j++) {
        double* own = a + column(j, lda);
        for (int p = 0; p < j; p++) {
            const double* before = a + column(p, lda);
            const double factor = before[j];
            for (int i = j; i < n; i++) {
                own[i] -= factor * before[i];
            }
        }
        if (!(own[j] > 0)) {
            return j + 1;
        }
        const double pivot = sqrt(own[j]);
        own[j] = pivot;
        for (int i = j + 1; i < n; i++) {
            own[i] /= pivot;
        }
        for (int i = 0; i < j; i++) {
            own[i] = NAN;
        }
    }
    return 0;
}

// The work returns a status.
template <class Work>
int enqueue(const Handle* handle, Work work) {
    return gr::library::enqueue(handle->stream, work) ? SUCCESS : EXECUTION_FAILED;
}

}  // namespace

#define API extern "C" __attribute__((visibility("default"))) int

API cusolverDnCreate(Handle** handle) { return gr::library::usable() ? create(handle) : NOT_INITIALIZED; }

API cusolverDnDestroy(Handle* handle) { return destroy(handle); }

API cusolverDnSetStream(Handle* handle, void* stream) {
    if (!alive(handle)) {
        return NOT_INITIALIZED;
    }
    handle->stream = stream;
    return SUCCESS;
}

API cusolverDnCreateParams(Params** params) { return create(params); }

API cusolverDnDestroyParams(Params* params) { return destroy(params); }

API cusolverDnXsyevBatched_bufferSize(Handle* handle, Params* params, int mode, int fill, int64_t n, int type_a,
                                      const void*, int64_t lda, int type_w, const void*, int compute,
                                      size_t* device_bytes, size_t* host_bytes, int64_t batch) {
    const int status = check(handle, params, mode, fill, n, lda, {type_a, type_w, compute});
    if (status != SUCCESS || batch < 1) {
        return status != SUCCESS ? status : INVALID_VALUE;
    }
    *device_bytes = workspace_bytes(n, batch);
    *host_bytes = 64;
    return SUCCESS;
}

API cusolverDnXsyevBatched(Handle* handle, Params* params, int mode, int fill, int64_t n, int type_a, void* a,
                           int64_t lda, int type_w, void* w, int compute, void* device, size_t device_bytes, void* host,
                           size_t host_bytes, int* info, int64_t batch) {
    const int status = check(handle, params, mode, fill, n, lda, {type_a, type_w, compute});
    if (status != SUCCESS || batch < 1 || device_bytes < workspace_bytes(n, batch) || host == nullptr ||
        host_bytes < 64) {
        return status != SUCCESS ? status : INVALID_VALUE;
    }
    return enqueue(handle, [=] {
        if (!zeroed(device, workspace_bytes(n, batch))) {
            return EXECUTION_FAILED;
        }
        *static_cast<double*>(device) = 1;
        Eigen eigen(n);
        for (int64_t t = 0; t < batch; t++) {
            double* matrix = static_cast<double*>(a) + column(t * n, lda);
            info[t] = eigen.solve(matrix, lda, static_cast<double*>(w) + t * n) ? 0 : 1;
        }
        return SUCCESS;
    });
}

API cusolverDnXsyevd_bufferSize(Handle* handle, Params* params, int mode, int fill, int64_t n, int type_a, const void*,
                                int64_t lda, int type_w, const void*, int compute, size_t* device_bytes,
                                size_t* host_bytes) {
    const int status = check(handle, params, mode, fill, n, lda, {type_a, type_w, compute});
    if (status == SUCCESS) {
        *device_bytes = workspace_bytes(n, 1);
        *host_bytes = 0;
    }
    return status;
}

API cusolverDnXsyevd(Handle* handle, Params* params, int mode, int fill, int64_t n, int type_a, void* a, int64_t lda,
                     int type_w, void* w, int compute, void* device, size_t device_bytes, void*, size_t, int* info) {
    const int status = check(handle, params, mode, fill, n, lda, {type_a, type_w, compute});
    if (status != SUCCESS || device == nullptr || device_bytes < workspace_bytes(n, 1)) {
        return status != SUCCESS ? status : INVALID_VALUE;
    }
    return enqueue(handle, [=] {
        *info = Eigen(n).solve(static_cast<double*>(a), lda, static_cast<double*>(w)) ? 0 : 1;
        return SUCCESS;
    });
}

API cusolverDnDpotrfBatched(Handle* handle, int fill, int n, double** matrices, int lda, int* info, int batch) {
    if (!alive(handle)) {
        return NOT_INITIALIZED;
    }
    if (fill != LOWER || n < 0 || lda < std::max(1, n) || batch < 0) {
        return INVALID_VALUE;
    }
    return enqueue(handle, [=] {
        for (int t = 0; t < batch; t++) {
            info[t] = factor(matrices[t], n, lda);
        }
        return SUCCESS;
    });
}
