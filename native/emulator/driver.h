// Inside of the stand-in libcuda.so.1: a driver whose one device is the emulator. Everything happens during the call
// that asks for it, in any stream; device memory is the host's. It refuses what the real driver would refuse where a
// mistake of the caller is likely: no current context, dead handles, addresses outside of allocations, parameters of
// the wrong size, too much shared memory; a line on standard error says which. A kernel that writes just before or
// behind an allocation makes its launch fail. The library in the folder `watched` checks all accesses of kernels, see
// detect.h.
//
// Environment: GROUPREDUCE_EMULATED_DEVICES (count, 1), GROUPREDUCE_EMULATED_MEMORY (bytes a device, 2 GiB),
// GROUPREDUCE_EMULATED_DOUBLE_RATIO (single to double speed, 2). For tests that cannot set it, the library also exports
//   void gr_emulated_memory(size_t bytes)
//       bytes a device; 0: as before
//   void gr_emulated_attribute(int which, int value)
//       of every device; which as in CUdevice_attribute; a negative value: as before
//   size_t gr_emulated_objects(void)
//       allocations of both kinds, streams, events, modules and graphs that are open
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <functional>
#include <mutex>
#include <set>

#define GR_EXPORT extern "C" __attribute__((visibility("default")))

namespace gr::driver {

// The numbers of cuda.h.
enum Result {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    INVALID_CONTEXT = 201,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    ILLEGAL_ADDRESS = 700,
    LAUNCH_FAILED = 719,
    CAPTURE_UNSUPPORTED = 900,
    CAPTURE_UNJOINED = 904,
    ILLEGAL_STATE = 401
};

using Address = unsigned long long;

// Held by every call that touches what is below.
extern std::recursive_mutex lock;
using Lock = std::lock_guard<std::recursive_mutex>;

// Says what was wrong on standard error and returns the result.
[[gnu::format(printf, 2, 3)]] Result refuse(Result result, const char* format, ...);

// Of the open handles, the one that a caller means, or null.
template <class T>
T* find(const std::set<T*>& open, void* handle) {
    const auto found = open.find(static_cast<T*>(handle));
    return found == open.end() ? nullptr : *found;
}

constexpr int MAX_DEVICES = 16;

// What the files offer each other. Each uses those above it, none of those below, driver_launch.cpp all of them.
//
// driver_device.cpp

int device_count();

// The device of the calling thread's context, or -1: then the call returns no_context().
int current_device();
Result no_context();

// Counts a user of the primary context off; whether it was the last one.
Result leave_context(int device, bool& ended);

size_t memory_limit();

// driver_streams.cpp

size_t open_streams();

// Calls that cannot be part of a graph fail while one is captured.
bool capturing();

// Runs the work now, or records it where the stream is being captured into a graph.
Result submit(void* stream, const std::function<Result()>& work);

// driver_memory.cpp

size_t open_allocations();

// The first allocation whose surroundings were written to, repaired, or 0.
Address damaged_allocation();

}  // namespace gr::driver
