// What a kernel may use. A kernel is written once: nvcc compiles it for the GPU, a C++17 compiler for the emulation
// (one fiber per CUDA thread; see native/emulator). Both worlds have exactly the names below.
//
//   GR_KERNEL(gr_name, Params, maxThreads) { ... p.field ... }
//       a kernel with one parameter struct, p; a fourth argument asks for that many resident blocks per multiprocessor
//   GR_DEVICE  GR_UNROLL  GR_ROLLED  GR_SHARED(type, name, count)  GR_DYNAMIC_SHARED(type, name)
//   threadIdx.x  blockIdx.x  blockIdx.y  blockDim.x  gridDim.x  gridDim.y
//   gr::sync_block
//       all threads of the block that have not returned
//   gr::sync_warp  shuffle  shuffle_xor  ballot  mma_bf16  mma_f16  mma_u8s8  mma_u8s8_half
//       all 32 lanes of the warp
//   gr::atomic_add  atomic_max
//       integers only: the order of their updates shows in no result
//   gr::load16
//       16 aligned bytes that nobody writes during the kernel
//   gr::copy_async16  commit_copies  wait_copies
//       16 aligned bytes from such memory to shared memory while the thread goes on
//   gr::float_bits  bits_float  byte_permute  leading_zeros  min  max  fma
//   gr::exp2_approx
//   gr::to_bf16  from_bf16  pack_bf16  pack_f16  low_f16  high_f16  sub_f16x2
//   float2 float4 uint2 uint4 and their make_ functions; the functions of math.h
#pragma once

#include <math.h>
#include <stdint.h>

#ifndef __CUDACC__
#include "../../emulator/device_emulation.h"
#else

#define GR_KERNEL(name, Params, ...) \
    extern "C" __global__ void __launch_bounds__(__VA_ARGS__) name(const __grid_constant__ Params p)
#define GR_DEVICE __device__ __forceinline__
#define GR_UNROLL _Pragma("unroll")
#define GR_ROLLED _Pragma("unroll 1")
#define GR_SHARED(type, name, count) __shared__ __align__(16) type name[count]
#define GR_DYNAMIC_SHARED(type, name)                                  \
    extern __shared__ __align__(16) unsigned char gr_dynamic_shared[]; \
    type* name = reinterpret_cast<type*>(gr_dynamic_shared)

namespace gr {

constexpr unsigned FULL_WARP = 0xffffffffu;

GR_DEVICE void sync_block() { __syncthreads(); }

GR_DEVICE void sync_warp() { __syncwarp(FULL_WARP); }

template <class T>
GR_DEVICE T shuffle(T value, int lane) {
    return __shfl_sync(FULL_WARP, value, lane);
}

template <class T>
GR_DEVICE T shuffle_xor(T value, int mask) {
    return __shfl_xor_sync(FULL_WARP, value, mask);
}

GR_DEVICE unsigned ballot(bool predicate) { return __ballot_sync(FULL_WARP, predicate); }

template <class T>
GR_DEVICE T atomic_add(T* address, T value) {
    return atomicAdd(address, value);
}

GR_DEVICE unsigned long long atomic_max(unsigned long long* address, unsigned long long value) {
    return atomicMax(address, value);
}

// Streaming: leaves the first-level cache to what is read again.
GR_DEVICE uint4 load16(const void* address) {
    uint4 v;
    asm("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
        : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
        : "l"(address));
    return v;
}

// The same to shared memory, behind the thread's back. Copies between two commits are a group; after wait_copies<n> all
// but the n youngest groups have arrived, for this thread: others see them after a barrier.
GR_DEVICE void copy_async16(void* shared, const void* address) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(static_cast<unsigned>(
                     __cvta_generic_to_shared(shared))),
                 "l"(address)
                 : "memory");
}

GR_DEVICE void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

template <int Groups>
GR_DEVICE void wait_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(Groups) : "memory");
}

GR_DEVICE unsigned float_bits(float value) { return __float_as_uint(value); }

GR_DEVICE float bits_float(unsigned bits) { return __uint_as_float(bits); }

// Byte i of the result is byte (selector >> 4 i) & 7 of a (0 to 3) and b (4 to 7).
GR_DEVICE unsigned byte_permute(unsigned a, unsigned b, unsigned selector) { return __byte_perm(a, b, selector); }

GR_DEVICE int leading_zeros(unsigned bits) { return __clz(static_cast<int>(bits)); }

GR_DEVICE float fma(float a, float b, float c) { return ::fmaf(a, b, c); }

GR_DEVICE double fma(double a, double b, double c) { return ::fma(a, b, c); }

// 2^x, off by 2^-22 of it at most; subnormal numbers count as 0.
GR_DEVICE float exp2_approx(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// Round to nearest even.
GR_DEVICE unsigned short to_bf16(float value) {
    unsigned short bits;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}

GR_DEVICE unsigned pack_bf16(float low, float high) {
    unsigned pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}

// binary16, rounded to nearest even; 65,520 and more is infinite.
GR_DEVICE unsigned pack_f16(float low, float high) {
    unsigned pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}

GR_DEVICE float low_f16(unsigned pair) {
    float value;
    asm("{.reg .b16 low, high; mov.b32 {low, high}, %1; cvt.f32.f16 %0, low;}" : "=f"(value) : "r"(pair));
    return value;
}

GR_DEVICE float high_f16(unsigned pair) {
    float value;
    asm("{.reg .b16 low, high; mov.b32 {low, high}, %1; cvt.f32.f16 %0, high;}" : "=f"(value) : "r"(pair));
    return value;
}

// a - b in both halves, each rounded once.
GR_DEVICE unsigned sub_f16x2(unsigned a, unsigned b) {
    unsigned difference;
    asm("sub.rn.f16x2 %0, %1, %2;" : "=r"(difference) : "r"(a), "r"(b));
    return difference;
}

// d += A B for a whole warp (volatile: it must stay where all lanes are): A 16 x 16 and B 16 x 8 of bf16 pairs (lower
// half: even k), d 16 x 8. With g = lane / 4 and t = lane % 4:
//   a[0] A[g][2t, 2t+1]   a[1] A[g+8][2t, 2t+1]   a[2] A[g][2t+8, 2t+9]   a[3] A[g+8][2t+8, 2t+9]
//   b0   B[2t, 2t+1][g]   b1   B[2t+8, 2t+9][g]
//   d[0] D[g][2t]   d[1] D[g][2t+1]   d[2] D[g+8][2t]   d[3] D[g+8][2t+1]
GR_DEVICE void mma_bf16(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// The same with pairs of binary16.
GR_DEVICE void mma_f16(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// d += A B of whole numbers: A 16 x 32 of unsigned, B 32 x 8 of signed bytes, four in a register, the lowest byte
// first; exact, but for the multiples of 2^32 that d has no room for.
//   a[0] A[g][4t .. 4t+3]   a[1] A[g+8][4t ..]   a[2] A[g][4t+16 ..]   a[3] A[g+8][4t+16 ..]
//   b0   B[4t .. 4t+3][g]   b1   B[4t+16 ..][g]      d as above
GR_DEVICE void mma_u8s8(int (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// The same with the first half of the inner dimension: a0, a1 and b0.
GR_DEVICE void mma_u8s8_half(int (&d)[4], unsigned a0, unsigned a1, unsigned b0) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.s32.u8.s8.s32 "
        "{%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
        : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
        : "r"(a0), "r"(a1), "r"(b0));
}

}  // namespace gr

#endif

namespace gr {

GR_DEVICE float from_bf16(unsigned short bits) { return bits_float(static_cast<unsigned>(bits) << 16); }

template <class T>
GR_DEVICE T min(T a, T b) {
    return b < a ? b : a;
}

template <class T>
GR_DEVICE T max(T a, T b) {
    return a < b ? b : a;
}

}  // namespace gr
