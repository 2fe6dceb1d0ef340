// The emulation's side of groupreduce/device.h: the same names for a C++17 compiler without CUDA. A warp-wide operation
// is a meeting of the 32 lanes of a warp, a block barrier one of all living threads of a block; whoever misses one ends
// the launch with a message.
//
// Matrix products are described in mma.cpp, asynchronous copies at copy_later. Pointers are the host's; detect.h says who
// checks what is done with them.
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

#include <type_traits>

#include "emulator.h"
#include "half.h"

struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(8) uint2 {
    unsigned x, y;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};

inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

using gr::emulator::blockDim;
using gr::emulator::blockIdx;
using gr::emulator::gridDim;
using gr::emulator::threadIdx;

// Two kernels of one name are an error of the linker.
#define GR_KERNEL(name, Params, ...)                                                                      \
    static_assert(sizeof(Params) <= gr::emulator::MAX_PARAMETERS, "too many parameters");                 \
    extern "C" void name(const Params& p);                                                                \
    [[maybe_unused]] static const gr::emulator::Kernel name##_registration(                               \
        #name, sizeof(Params), [](const void* p) { name(*static_cast<const Params*>(p)); }, __VA_ARGS__); \
    extern "C" void name([[maybe_unused]] const Params& p)
#define GR_DEVICE inline
#define GR_UNROLL
#define GR_ROLLED
#define GR_SHARED(type, name, count)   \
    static const char name##_site = 0; \
    type(&name)[count] =               \
        *reinterpret_cast<type(*)[count]>(gr::emulator::static_shared(&name##_site, #name, sizeof(type[count])))
#define GR_DYNAMIC_SHARED(type, name) type* name = reinterpret_cast<type*>(gr::emulator::dynamic_shared())

namespace gr {

inline void sync_block() { emulator::block_barrier(); }

inline void sync_warp() { emulator::warp_barrier(); }

namespace emulator {

template <class T>
inline T exchange(T value, int source) {
    static_assert(std::is_arithmetic<T>::value && (sizeof(T) == 4 || sizeof(T) == 8), "shuffles take 4 or 8 bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof(T));
    bits = warp_exchange(bits, source);
    memcpy(&value, &bits, sizeof(T));
    return value;
}

}  // namespace emulator

template <class T>
inline T shuffle(T value, int lane) {
    return emulator::exchange(value, lane & 31);
}

template <class T>
inline T shuffle_xor(T value, int mask) {
    return emulator::exchange(value, (static_cast<int>(threadIdx.x) ^ mask) & 31);
}

inline unsigned ballot(bool predicate) { return emulator::warp_ballot(predicate); }

template <class T>
inline T atomic_add(T* address, T value) {
    static_assert(
        std::is_same<T, int>::value || std::is_same<T, unsigned>::value || std::is_same<T, unsigned long long>::value,
        "no floating-point atomics");
    return __atomic_fetch_add(address, value, __ATOMIC_RELAXED);
}

inline unsigned long long atomic_max(unsigned long long* address, unsigned long long value) {
    unsigned long long old = __atomic_load_n(address, __ATOMIC_RELAXED);
    while (old < value &&
           !__atomic_compare_exchange_n(address, &old, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    return old;
}

inline uint4 load16(const void* address) {
    emulator::check_aligned(address, 16);
    return *static_cast<const uint4*>(address);
}

inline void copy_async16(void* shared, const void* address) {
    emulator::check_aligned(address, 16);
    emulator::check_aligned(shared, 16);
    emulator::copy_later(shared, address);
}

inline void commit_copies() { emulator::commit_copies(); }

template <int Groups>
inline void wait_copies() {
    emulator::wait_copies(Groups);
}

inline unsigned float_bits(float value) {
    unsigned bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

inline float bits_float(unsigned bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

inline unsigned byte_permute(unsigned a, unsigned b, unsigned selector) {
    const uint64_t bytes = static_cast<uint64_t>(b) << 32 | a;
    unsigned result = 0;
    for (int i = 0; i < 4; i++) {
        const unsigned choice = selector >> (4 * i);
        unsigned byte = static_cast<unsigned>(bytes >> (8 * (choice & 7))) & 0xff;
        if (choice & 8) {  // as prmt does: the byte's sign, eight times
            byte = byte & 0x80 ? 0xff : 0;
        }
        result |= byte << (8 * i);
    }
    return result;
}

inline int leading_zeros(unsigned bits) { return bits == 0 ? 32 : __builtin_clz(bits); }

inline float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

inline double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }

// The nearest number, and one less where that is not exact: within what the hardware promises.
inline float exp2_approx(float x) {
    const auto flushed = [](float y) { return y < 0x1p-126f && y > -0x1p-126f ? 0.0f : y; };
    const double exact = exp2(static_cast<double>(flushed(x)));
    const float nearest = flushed(static_cast<float>(exact));
    return static_cast<double>(nearest) == exact || nearest - nearest != 0 || nearest == 0
               ? nearest
               : flushed(bits_float(float_bits(nearest) - 1));
}

inline unsigned short to_bf16(float value) {
    const unsigned bits = float_bits(value);
    if (value != value) {
        return 0x7fff;
    }
    return static_cast<unsigned short>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

inline unsigned pack_bf16(float low, float high) { return static_cast<unsigned>(to_bf16(high)) << 16 | to_bf16(low); }

inline float low_f16(unsigned pair) { return emulator::from_f16(pair & 0xffffu); }

inline float high_f16(unsigned pair) { return emulator::from_f16(pair >> 16); }

namespace emulator {

// Floats and differences of halves are exact in double.
inline unsigned pack_rounded(double low, double high) {
    return static_cast<unsigned>(to_f16(high)) << 16 | to_f16(low);
}

}  // namespace emulator

inline unsigned pack_f16(float low, float high) { return emulator::pack_rounded(low, high); }

inline unsigned sub_f16x2(unsigned a, unsigned b) {
    return emulator::pack_rounded(static_cast<double>(low_f16(a)) - low_f16(b),
                                  static_cast<double>(high_f16(a)) - high_f16(b));
}

inline void mma_bf16(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    emulator::warp_mma(emulator::Pairs::BF16, d, a, b0, b1);
}

inline void mma_f16(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    emulator::warp_mma(emulator::Pairs::F16, d, a, b0, b1);
}

inline void mma_u8s8(int (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    emulator::warp_mma_bytes(32, d, a, b0, b1);
}

inline void mma_u8s8_half(int (&d)[4], unsigned a0, unsigned a1, unsigned b0) {
    emulator::warp_mma_bytes(16, d, {a0, a1, 0, 0}, b0, 0);
}

}  // namespace gr
