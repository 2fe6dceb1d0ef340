// Runs kernels on the CPU: one fiber per CUDA thread, blocks one after the other, on the thread that calls. What
// kernels use is declared in device_emulation.h; this is what tests and the stand-in driver use, and the few functions
// on which the former stands.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace gr::emulator {

constexpr int WARP = 32;
constexpr int MAX_THREADS = 1024;
constexpr size_t MAX_PARAMETERS = 4096;  // bytes
constexpr size_t MAX_STATIC_SHARED = 48 * 1024;
constexpr size_t MAX_SHARED = 227 * 1024;

// Of the card that the next launch is for: what a block may have, static and dynamic; MAX_SHARED at first.
extern size_t shared_limit;

struct Index {
    unsigned x, y, z;
};

// Of the running thread.
extern Index threadIdx, blockIdx, blockDim, gridDim;

// A kernel registers itself when its file is loaded.
struct Kernel {
    using Function = void (*)(const void* params);

    Kernel(const char* name, size_t params, Function function, int max_threads, int min_blocks = 1);

    static const Kernel* find(const char* name);

    const char* name;
    size_t params;
    Function function;
    int max_threads;
    const Kernel* next;
};

// Runs a grid; false when a thread missed a meeting or wrote beyond its shared memory, and the reason is on standard
// error. Blocks come in a random order (order.h). Shared memory is filled with 0xFF (NaN, -1) before every block.
// Blocks with an odd number start with their last thread, others with their first, and the next launch the other way
// round, so that a forgotten barrier shows in some result.
bool run(const Kernel& kernel, unsigned grid_x, unsigned grid_y, int block, size_t shared, const void* params);

// The same for tests, by name; what run or the driver would refuse ends the process.
void launch(const char* name, unsigned grid_x, unsigned grid_y, int block, size_t shared, const void* params,
            size_t bytes);

template <class Params>
void launch(const char* name, unsigned grid_x, unsigned grid_y, int block, size_t shared, const Params& params) {
    launch(name, grid_x, grid_y, block, shared, &params, sizeof(Params));
}

// What the operands of a matrix product hold two of in a register.
enum class Pairs { BF16, F16 };

// d += A B from the registers of a warp's lanes; see groupreduce/device.h for who holds what.
void multiply(Pairs pairs, float (&d)[WARP][4], const unsigned (&a)[WARP][4], const unsigned (&b)[WARP][2]);

// The same for unsigned bytes times signed ones, four in a register; `inner` is 32, or 16: then a[2], a[3] and b[1]
// count for nothing.
void multiply_bytes(int inner, int (&d)[WARP][4], const unsigned (&a)[WARP][4], const unsigned (&b)[WARP][2]);

// What device_emulation.h needs.
void block_barrier();
void warp_barrier();
uint64_t warp_exchange(uint64_t value, int source);
unsigned warp_ballot(bool predicate);
void warp_mma(Pairs pairs, float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1);
void warp_mma_bytes(int inner, int (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1);
void* static_shared(const void* site, const char* name, size_t bytes);
void* dynamic_shared();
// Copies 16 bytes at once in blocks that start with their last thread, in others not before somebody waits for them: a
// missing wait shows in one of them, a place that is written too early in the other.
void copy_later(void* to, const void* from);
void commit_copies();
void wait_copies(int groups);
// The thread whose stack an address is on, or -1.
int stack_owner(const void* address);
// Ends the launch.
[[noreturn]] void fail(const char* reason);
void fail_alignment(const void* address, int bytes);

inline void check_aligned(const void* address, int bytes) {
    if (reinterpret_cast<uintptr_t>(address) % static_cast<uintptr_t>(bytes) != 0) {
        fail_alignment(address, bytes);
    }
}

}  // namespace gr::emulator
