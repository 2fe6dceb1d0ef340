// What kernels do to memory, watched: data races, accesses outside of what is allocated, misaligned ones, reads of what
// nobody wrote. Kernels compiled with -fsanitize=thread,alignment call the hooks in detect_hooks.cpp for every access;
// where no such kernel is linked, nothing is watched. The first fault ends its launch with a message.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <string>

namespace gr::emulator::detect {

// Whose memory: what a program has had in its hands may hold anything; device and shared memory is filled with 0xFF and
// must be written before it is read; read-only memory holds what every thread may look at.
enum class Memory { HOST, DEVICE, READ_ONLY };

// Kernels may touch these bytes from now on.
void add(void* start, size_t bytes, Memory memory, const char* name);
void remove(const void* start);

// A copy or a fill wrote them.
void written(const void* start, size_t bytes);

// Where the emulator stands. Blocks and threads are those of blockIdx and threadIdx.
struct Launch {
    Launch(const void* params, size_t bytes);
    ~Launch();
};
void block_barrier();
void warp_meeting();

// For the hooks, and for what they do not see: an access of the running thread, and the instruction if it is known.
enum Access { READ, WRITE, ATOMIC };
void watch();
// Of an update that is ordered, beside access: what other blocks released there is known from now on, or what this
// block did is released.
void synchronize(const volatile void* word, bool acquires, bool releases);
void access(Access access, const volatile void* at, size_t bytes, void* instruction = nullptr);
std::string line_of(void* instruction);
void misaligned(uintptr_t at, size_t bytes, const char* file, unsigned line);

}  // namespace gr::emulator::detect
