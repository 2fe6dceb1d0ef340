// Inside of the stand-in libcuda.so.1: a driver whose one device is the emulator; device memory is the host's. It
// refuses what the real driver would refuse where a mistake of the caller is likely: no current context, dead handles,
// addresses outside of allocations, parameters of the wrong size, too much shared memory; a line on standard error says
// which. A kernel that writes just before or behind an allocation fails; the library in the folder `watched` checks all
// accesses of kernels, see detect.h.
//
// Launches, copies and fills are queued and run on the thread of a later call: mostly as late as is allowed, when the
// host waits for them, in one of the orders that streams and events allow, or now and then at once. So a copy reads and
// writes page-locked memory when the caller has long gone on, and a forgotten event or wait shows in some result. Work
// that fails loses the device, as it does a real context: every later call returns what happened.
//
// Environment: GROUPREDUCE_EMULATED_SEED (of the orders, see order.h), GROUPREDUCE_EMULATED_DEVICES (count, 1),
// GROUPREDUCE_EMULATED_MEMORY (bytes a device, 2 GiB), GROUPREDUCE_EMULATED_DOUBLE_RATIO (single to double speed, 2).
// For tests that cannot set it, the library also exports
//   void gr_emulated_seed(unsigned long long seed)
//       of the orders from now on; 0: that of the environment
//   void gr_emulated_memory(size_t bytes)
//       bytes a device; 0: as before
//   void gr_emulated_driver(int version)
//       the driver's CUDA version, 13000 before
//   void gr_emulated_attribute(int which, int value)
//       of every device; which as in CUdevice_attribute; a negative value: as before
//   size_t gr_emulated_objects(void)
//       allocations of both kinds, streams, events, modules and graphs that are open
//   void gr_emulated_refuse(const char* function, int nth, int result)
//       the nth call from now on of the function of this name (cuMemAlloc_v2) does nothing and returns the result; 0:
//       none does
//   void gr_emulated_lose(int nth, int result)
//       the nth launch, copy or fill from now on goes wrong and the devices are lost: all that is called afterwards
//       returns the result, and contexts can only be given back; 0: none does, and the devices are whole again
//   int gr_emulated_submit(void* stream, int (*work)(void*), void (*drop)(void*), void* argument)
//       queues what the stand-ins of the libraries do
//   void gr_emulated_take(size_t bytes)
//       another process takes so much of each device right after the next cuMemGetInfo; 0: it gives all back
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

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
    NOT_READY = 600,
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

// Begins every function that tests may let fail: holds the lock, and returns what is planted for it.
#define GR_CALL                                          \
    const Lock held(lock);                               \
    if (const Result planted_here = planted(__func__)) { \
        return planted_here;                             \
    }

// The same for a function that needs a context, and whose device is not lost.
#define GR_CALL_IN_CONTEXT      \
    GR_CALL                     \
    if (current_device() < 0) { \
        return no_context();    \
    }

// What the files offer each other. Each uses those above it, none of those below, driver_launch.cpp all of them.
//
// driver_failures.cpp

// What a call of this function is to return instead of working, or SUCCESS.
Result planted(const char* function);

// What the work that is about to be queued is to end with, or SUCCESS.
Result planted_fault();
void plant_fault(int nth, Result result);

// From now on, until a test repairs it, a device answers with this.
void lose(Result result);
Result lost();

// Bytes of each device that another process has.
size_t held_elsewhere();
void let_others_take();

// driver_device.cpp

int device_count();

// The device of the calling thread's context, or -1 when there is none or it is lost: then the call returns
// no_context().
int current_device();
Result no_context();

// Counts a user of the primary context off; whether it was the last one.
Result leave_context(int device, bool& ended);

size_t memory_limit();

// CUdevice_attribute, of every device.
int device_attribute(int which);
constexpr int SHARED_PER_BLOCK = 97;

// driver_queue.cpp

struct Range {
    const char* start;
    size_t bytes;
};

// Work that was queued, and what it waits for.
struct Work {
    std::function<Result()> work;  // none: it only has a place in the order
    std::vector<std::shared_ptr<Work>> after;
    Range host;  // page-locked memory that it reads or writes
    bool done, marked;
    double milliseconds;  // when it was done
};

using Job = std::shared_ptr<Work>;

Job queue(std::function<Result()> work, std::vector<Job> after, Range host);

// Lets the device go on until these jobs are through, null ones aside; SUCCESS unless it is lost.
Result wait_for(const std::vector<Job>& jobs);
Result wait_for_all();

// Lets it go on a little; NOT_READY when they are not through.
Result look_at(const std::vector<Job>& jobs);

// Nothing that is queued runs any more.
void forget_jobs();

// Whether something that is queued reads or writes this memory of the host.
bool is_needed(Range host);

// driver_streams.cpp

size_t open_streams();

// Of the context of a device, when it ends.
void end_streams(int device);

// Calls that cannot be part of a graph fail while one is captured.
bool capturing();

// Queues the work, or records it where the stream is being captured into a graph.
Result submit(void* stream, std::function<Result()> work, Range host = {});

// Waits for all that is queued in a stream.
Result finish(void* stream);

// driver_memory.cpp

size_t open_allocations();
void end_allocations(int device);

// The first allocation whose surroundings were written to, repaired, or 0.
Address damaged_allocation();

}  // namespace gr::driver
