// Kernels whose instructions were counted by hand: what a reader of machine code must find in them. Compiled by nvcc
// only, launched by nobody.
#include <stdint.h>

extern "C" __global__ void counted_loads(const uint4* a, const uint2* b, const unsigned* c, const uint8_t* d,
                                         const unsigned short* e, uint4* to, unsigned* more) {
    __shared__ uint4 shared[64];
    const int t = static_cast<int>(threadIdx.x);
    const uint4 v = a[t];
    const uint2 w = b[t];
    const unsigned x = c[t], y = d[t], z = e[t];
    shared[t] = v;
    __syncthreads();
    const uint4 q = shared[t ^ 1];
    const unsigned r = reinterpret_cast<unsigned*>(shared)[t * 3 & 63];
    to[t] = make_uint4(q.x + w.x, q.y + w.y, q.z + x, q.w + y + z + r);
    more[t] = x;
}

extern "C" __global__ void counted_local(const int* index, float* to, int n) {
    float a[64];
    for (int i = 0; i < 64; i++) {
        a[i] = to[i];
    }
    for (int i = 0; i < n; i++) {
        a[index[i] & 63] += a[index[i + 1] & 63] * 2;
    }
    for (int i = 0; i < 64; i++) {
        to[i] = a[i];
    }
}

extern "C" __global__ void counted_loops(const float* a, float* to, int n) {
    float sum = 0;
#pragma unroll 1
    for (int i = 0; i < n; i++) {
#pragma unroll 1
        for (int j = 0; j < i; j++) {
            sum += a[j];
        }
        sum = exp2f(sum);
    }
    *to = sum;
}

extern "C" __global__ void counted_products(const unsigned* a, int* to) {
    int d[4] = {};
    float f[4] = {};
    const unsigned x = a[0], y = a[1], z = a[2], w = a[3], b0 = a[4], b1 = a[5];
    for (int i = 0; i < 2; i++) {
        asm volatile(
            "mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
            : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
            : "r"(x), "r"(y), "r"(z), "r"(w), "r"(b0), "r"(b1));
    }
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
        : "+f"(f[0]), "+f"(f[1]), "+f"(f[2]), "+f"(f[3])
        : "r"(x), "r"(y), "r"(z), "r"(w), "r"(b0), "r"(b1));
    to[threadIdx.x] = d[0] + d[1] + d[2] + d[3] + static_cast<int>(f[0] + f[1]);
    to[threadIdx.x + 99] = static_cast<int>(__shfl_xor_sync(~0u, x + threadIdx.x, 3));
}

extern "C" __global__ void counted_copies(const uint4* a, uint4* to) {
    __shared__ uint4 shared[64];
    const unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(shared + threadIdx.x));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(at), "l"(a + threadIdx.x));
    asm volatile("cp.async.commit_group; cp.async.wait_group 0;");
    __syncthreads();
    to[threadIdx.x] = shared[threadIdx.x ^ 1];
}
