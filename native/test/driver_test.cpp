// The stand-in driver, through the functions of the real one.
#include <vector>

#include "check.h"
#include "groupreduce/device.h"

using Address = unsigned long long;

extern "C" {
int cuInit(unsigned);
int cuDeviceGetCount(int*);
int cuDeviceGetAttribute(int*, int, int);
int cuDevicePrimaryCtxRetain(void**, int);
int cuDevicePrimaryCtxRelease_v2(int);
int cuCtxSetCurrent(void*);
int cuMemGetInfo_v2(size_t*, size_t*);
int cuMemAlloc_v2(Address*, size_t);
int cuMemFree_v2(Address);
int cuMemHostAlloc(void**, size_t, unsigned);
int cuMemFreeHost(void*);
int cuMemcpyHtoDAsync_v2(Address, const void*, size_t, void*);
int cuMemcpyDtoHAsync_v2(void*, Address, size_t, void*);
int cuMemcpyDtoDAsync_v2(Address, Address, size_t, void*);
int cuEventQuery(void*);
int cuStreamQuery(void*);
int cuCtxSynchronize();
int cuMemsetD8Async(Address, unsigned char, size_t, void*);
int cuStreamCreate(void**, unsigned);
int cuStreamDestroy_v2(void*);
int cuStreamSynchronize(void*);
int cuStreamWaitEvent(void*, void*, unsigned);
int cuStreamBeginCapture_v2(void*, int);
int cuStreamEndCapture(void*, void**);
int cuGraphInstantiateWithFlags(void**, void*, unsigned long long);
int cuGraphLaunch(void*, void*);
int cuGraphDestroy(void*);
int cuGraphExecDestroy(void*);
int cuEventCreate(void**, unsigned);
int cuEventDestroy_v2(void*);
int cuEventRecord(void*, void*);
int cuEventSynchronize(void*);
int cuEventElapsedTime(float*, void*, void*);
int cuModuleLoadData(void**, const void*);
int cuModuleUnload(void*);
int cuModuleGetFunction(void**, void*, const char*);
int cuFuncSetAttribute(void*, int, int);
int cuLaunchKernel(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**);
void gr_emulated_seed(unsigned long long);
void gr_emulated_memory(size_t);
void gr_emulated_refuse(const char*, int, int);
void gr_emulated_lose(int, int);
void gr_emulated_take(size_t);
void gr_emulated_attribute(int, int);
int gr_emulated_submit(void*, int (*)(void*), void (*)(void*), void*);
size_t gr_emulated_objects();
}

namespace {

constexpr int INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_CONTEXT = 201, INVALID_HANDLE = 400, NOT_FOUND = 500,
              NOT_READY = 600, ILLEGAL_ADDRESS = 700, LAUNCH_FAILED = 719, CAPTURE_UNSUPPORTED = 900,
              CAPTURE_UNJOINED = 904;

struct AddParams {
    float* values;
    int n;
    float by;
};

}  // namespace

GR_KERNEL(gr_test_add, AddParams, 128) {
    GR_DYNAMIC_SHARED(float, staged);
    const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    staged[threadIdx.x] = p.by;
    gr::sync_block();
    if (i < p.n) {
        const float old = p.values[i];
        p.values[i] = (isnan(old) ? 0 : old) + staged[blockDim.x - 1 - threadIdx.x];
    }
}

struct TraceParams {
    int* came;   // which block came when
    int* count;  // of the blocks so far
};

GR_KERNEL(gr_test_trace, TraceParams, 32) {
    if (threadIdx.x == 0) {
        p.came[gr::atomic_add(p.count, 1)] = static_cast<int>(gridDim.x * blockIdx.y + blockIdx.x);
    }
}

struct Launcher {
    void* function;
    void* stream;

    int operator()(AddParams params, size_t bytes = sizeof(AddParams), unsigned block = 128,
                   unsigned shared = 512) const {
        void* extra[] = {reinterpret_cast<void*>(1), &params, reinterpret_cast<void*>(2), &bytes, nullptr};
        return cuLaunchKernel(function, 2, 1, 1, block, 1, 1, shared, stream, nullptr, extra);
    }
};

static float* on_device(Address address) { return reinterpret_cast<float*>(static_cast<uintptr_t>(address)); }

// Behind all that is queued in the stream.
static float read(void* stream, Address address) {
    float value = 0;
    GR_CHECK(cuMemcpyDtoHAsync_v2(&value, address, sizeof value, stream) == 0);
    return value;
}

// What the work that is queued ends with; the device is whole again afterwards.
static int outcome(void* stream) {
    const int result = cuStreamSynchronize(stream);
    gr_emulated_lose(0, 0);
    return result;
}

static void memory(void* stream) {
    size_t free_before = 0, total = 0, free_after = 0;
    Address a = 0, b = 0;
    gr_emulated_memory(1 << 20);
    GR_CHECK(cuMemGetInfo_v2(&free_before, &total) == 0 && total == 1 << 20 && free_before == total);
    GR_CHECK(cuMemAlloc_v2(&a, (1 << 20) - 100) == 0);
    GR_CHECK(cuMemAlloc_v2(&b, 101) == OUT_OF_MEMORY && cuMemAlloc_v2(&b, 100) == 0);
    GR_CHECK(cuMemGetInfo_v2(&free_after, &total) == 0 && free_after == 0);
    float fresh = 0;
    GR_CHECK(cuMemcpyDtoHAsync_v2(&fresh, b, 4, stream) == 0 && isnan(fresh), "fresh memory is poisoned");
    float value = 2;
    GR_CHECK(cuMemcpyHtoDAsync_v2(b + 96, &value, 4, stream) == 0 &&
             cuMemcpyHtoDAsync_v2(b + 97, &value, 4, stream) == INVALID_VALUE);
    GR_CHECK(cuMemcpyDtoHAsync_v2(&value, b - 4, 4, stream) == INVALID_VALUE);
    GR_CHECK(read(stream, b + 96) == 2 && cuMemcpyDtoDAsync_v2(b, b + 96, 4, stream) == 0 && read(stream, b) == 2);
    GR_CHECK(cuMemsetD8Async(b, 0, 101, stream) == INVALID_VALUE && cuMemsetD8Async(b + 4, 0, 96, stream) == 0 &&
             read(stream, b) == 2 && read(stream, b + 96) == 0);
    GR_CHECK(cuMemFree_v2(a) == 0 && cuMemFree_v2(a) == INVALID_VALUE && cuMemFree_v2(b + 4) == INVALID_VALUE);
    GR_CHECK(cuMemcpyHtoDAsync_v2(a, &value, 4, stream) == INVALID_VALUE);
    GR_CHECK(cuMemFree_v2(b) == 0);
    gr_emulated_memory(0);
    void* pinned = nullptr;
    GR_CHECK(cuMemHostAlloc(&pinned, 10, 0) == 0 && cuMemFreeHost(pinned) == 0 &&
             cuMemFreeHost(pinned) == INVALID_VALUE);
}

static void launches(const Launcher& launch) {
    Address a = 0;
    GR_CHECK(cuMemAlloc_v2(&a, 200 * sizeof(float)) == 0 &&
             cuMemsetD8Async(a, 0, 200 * sizeof(float), launch.stream) == 0);
    GR_CHECK(launch({on_device(a), 200, 1.5f}) == 0 && read(launch.stream, a) == 1.5f &&
             read(launch.stream, a + 796) == 1.5f);
    AddParams params{on_device(a), 200, 1};
    GR_CHECK(cuLaunchKernel(launch.function, 2, 1, 1, 128, 1, 1, 512, launch.stream, nullptr, nullptr) ==
             INVALID_VALUE);
    GR_CHECK(launch(params, sizeof params - 8) == INVALID_VALUE &&
             launch(params, sizeof params, 160, 640) == INVALID_VALUE);
    GR_CHECK(launch(params, sizeof params, 128, 48 * 1024 + 4) == INVALID_VALUE);
    GR_CHECK(cuFuncSetAttribute(launch.function, 8, 228 * 1024) == INVALID_VALUE);
    GR_CHECK(cuFuncSetAttribute(launch.function, 8, 64 * 1024) == 0 &&
             launch(params, sizeof params, 128, 64 * 1024) == 0);
    gr_emulated_attribute(97, 63 * 1024);
    GR_CHECK(cuFuncSetAttribute(launch.function, 8, 63 * 1024 + 1) == INVALID_VALUE, "a card with less");
    gr_emulated_attribute(97, -1);
    GR_CHECK(launch(params, sizeof params, 128, 256) == 0 && outcome(launch.stream) == LAUNCH_FAILED,
             "shared memory is too small for the kernel");
    GR_CHECK(launch({on_device(a), 201, 1}) == 0 && outcome(launch.stream) == ILLEGAL_ADDRESS, "one float too many");
    GR_CHECK(launch(params) == 0 && cuMemFree_v2(a) == 0);
}

static void graphs(const Launcher& launch) {
    Address a = 0;
    void *other = nullptr, *forked = nullptr, *joined = nullptr, *graph = nullptr, *instance = nullptr;
    void* pinned = nullptr;
    GR_CHECK(cuMemHostAlloc(&pinned, sizeof(float), 0) == 0);
    float& source = *static_cast<float*>(pinned);
    float result = 0;
    GR_CHECK(cuMemAlloc_v2(&a, sizeof(float)) == 0 && cuStreamCreate(&other, 0) == 0);
    GR_CHECK(cuEventCreate(&forked, 0) == 0 && cuEventCreate(&joined, 0) == 0);
    GR_CHECK(cuStreamBeginCapture_v2(launch.stream, 0) == 0);
    GR_CHECK(cuMemcpyHtoDAsync_v2(a, &source, sizeof source, launch.stream) == 0);
    GR_CHECK(cuEventRecord(forked, launch.stream) == 0 && cuStreamWaitEvent(other, forked, 0) == 0);
    GR_CHECK((Launcher{launch.function, other})({on_device(a), 1, 1}) == 0);
    GR_CHECK(cuEventRecord(joined, other) == 0 && cuStreamWaitEvent(launch.stream, joined, 0) == 0);
    GR_CHECK(cuMemcpyDtoDAsync_v2(a, a, sizeof result, launch.stream) == 0);
    GR_CHECK(cuStreamSynchronize(launch.stream) == CAPTURE_UNSUPPORTED && cuMemAlloc_v2(&a, 4) == CAPTURE_UNSUPPORTED);
    GR_CHECK(cuStreamEndCapture(launch.stream, &graph) == 0 && isnan(read(launch.stream, a)), "nothing ran yet");
    GR_CHECK(cuGraphInstantiateWithFlags(&instance, graph, 0) == 0 && cuGraphDestroy(graph) == 0);
    for (int i = 0; i < 3; i++) {
        source = static_cast<float>(i);
        GR_CHECK(cuGraphLaunch(instance, launch.stream) == 0 && (result = read(launch.stream, a)) == source + 1);
    }
    GR_CHECK(cuStreamBeginCapture_v2(launch.stream, 0) == 0 && cuEventRecord(forked, launch.stream) == 0);
    GR_CHECK(cuStreamWaitEvent(other, forked, 0) == 0 && (Launcher{launch.function, other})({on_device(a), 1, 1}) == 0);
    GR_CHECK(cuEventRecord(joined, other) == 0 && (Launcher{launch.function, other})({on_device(a), 1, 1}) == 0);
    GR_CHECK(cuStreamWaitEvent(launch.stream, joined, 0) == 0);
    GR_CHECK(cuStreamEndCapture(launch.stream, &graph) == CAPTURE_UNJOINED, "the second launch is not waited for");
    GR_CHECK(cuStreamSynchronize(other) == 0 && cuEventRecord(forked, launch.stream) == 0 &&
                 cuEventRecord(joined, other) == 0,
             "the capture is over");
    float milliseconds = -1;
    GR_CHECK(cuCtxSynchronize() == 0 && cuEventElapsedTime(&milliseconds, forked, joined) == 0 && milliseconds != -1);
    GR_CHECK(cuGraphExecDestroy(instance) == 0 && cuGraphLaunch(instance, launch.stream) == INVALID_VALUE);
    GR_CHECK(cuEventDestroy_v2(forked) == 0 && cuEventDestroy_v2(joined) == 0 && cuStreamDestroy_v2(other) == 0 &&
             cuMemFree_v2(a) == 0 && cuMemFreeHost(pinned) == 0);
    GR_CHECK(cuStreamSynchronize(other) == INVALID_HANDLE);
}

// What is not ordered comes in both orders, what is ordered in one.
static void orders(void* first, void* second) {
    constexpr int SEEDS = 60;
    enum { UNORDERED, WAITING, EARLY_READ, LATE_READ, STAGED_AGAIN, STAGED_ONCE, KINDS };
    bool wrong[KINDS] = {}, right[KINDS] = {};
    Address a = 0;
    void *event = nullptr, *memory = nullptr;
    GR_CHECK(cuMemAlloc_v2(&a, 4) == 0 && cuEventCreate(&event, 0) == 0 && cuMemHostAlloc(&memory, 4, 0) == 0);
    float& pinned = *static_cast<float*>(memory);
    const auto note = [&](int kind, bool as_ordered) { (as_ordered ? right : wrong)[kind] = true; };
    const auto settle = [&] { GR_CHECK(cuCtxSynchronize() == 0); };
    for (int seed = 1; seed <= SEEDS; seed++) {
        gr_emulated_seed(static_cast<unsigned long long>(seed));
        for (const int kind : {UNORDERED, WAITING}) {
            GR_CHECK(cuMemsetD8Async(a, 1, 4, first) == 0 && cuEventRecord(event, first) == 0);
            GR_CHECK(kind == UNORDERED || cuStreamWaitEvent(second, event, 0) == 0);
            GR_CHECK(cuMemsetD8Async(a, 0, 4, second) == 0);
            settle();
            note(kind, read(first, a) == 0);
        }
        for (const int kind : {EARLY_READ, LATE_READ}) {
            pinned = 7;
            GR_CHECK(cuMemsetD8Async(a, 0, 4, first) == 0 && cuMemcpyDtoHAsync_v2(&pinned, a, 4, first) == 0);
            GR_CHECK(kind == EARLY_READ || cuStreamSynchronize(first) == 0);
            note(kind, pinned == 0);
            settle();
        }
        for (const int kind : {STAGED_AGAIN, STAGED_ONCE}) {
            pinned = 7;
            GR_CHECK(cuMemcpyHtoDAsync_v2(a, &pinned, 4, first) == 0 && cuEventRecord(event, first) == 0);
            GR_CHECK(kind == STAGED_AGAIN || cuEventSynchronize(event) == 0);
            pinned = 8;
            note(kind, read(first, a) == 7);
            settle();
        }
    }
    for (int kind = 0; kind < KINDS; kind++) {
        GR_CHECK(right[kind] && wrong[kind] == (kind % 2 == 0), "of kind %d", kind);
    }
    gr_emulated_seed(0);
    GR_CHECK(cuMemFree_v2(a) == 0 && cuEventDestroy_v2(event) == 0 && cuMemFreeHost(memory) == 0);
}

// The default stream and those that are ordered against it, ordinary host memory, waiting by looking, ends of things.
static void hidden_order(void* free_stream) {
    Address a = 0;
    void *blocking = nullptr, *event = nullptr, *memory = nullptr;
    GR_CHECK(cuMemAlloc_v2(&a, 4) == 0 && cuStreamCreate(&blocking, 0) == 0 && cuEventCreate(&event, 2) == 0);
    GR_CHECK(cuMemHostAlloc(&memory, 4, 0) == 0);
    float& pinned = *static_cast<float*>(memory);
    bool late = false, unready = false;
    for (int seed = 1; seed <= 30; seed++) {
        gr_emulated_seed(static_cast<unsigned long long>(seed));
        pinned = 3;
        GR_CHECK(cuMemcpyHtoDAsync_v2(a, &pinned, 4, blocking) == 0);
        GR_CHECK(cuMemcpyDtoHAsync_v2(&pinned, a, 4, nullptr) == 0);
        GR_CHECK(cuMemsetD8Async(a, 0, 4, blocking) == 0 && cuStreamSynchronize(nullptr) == 0 && pinned == 3);
        GR_CHECK(read(blocking, a) == 0);
        GR_CHECK(cuMemsetD8Async(a, 0, 4, nullptr) == 0 && cuMemsetD8Async(a, 1, 4, free_stream) == 0);
        GR_CHECK(cuStreamSynchronize(nullptr) == 0 && cuStreamSynchronize(free_stream) == 0);
        late |= read(nullptr, a) == 0;

        float ordinary = 5;
        GR_CHECK(cuMemcpyHtoDAsync_v2(a, &ordinary, 4, free_stream) == 0);
        ordinary = 6;
        GR_CHECK(read(free_stream, a) == 5 && cuMemcpyDtoHAsync_v2(&ordinary, a, 4, free_stream) == 0 && ordinary == 5);

        GR_CHECK(cuMemcpyDtoHAsync_v2(&pinned, a, 4, free_stream) == 0 && cuEventRecord(event, free_stream) == 0);
        int result = NOT_READY;
        for (int looks = 0; looks < 1000 && (result = cuEventQuery(event)) == NOT_READY; looks++) {
            unready = true;
        }
        GR_CHECK(result == 0 && pinned == 5 && cuStreamQuery(free_stream) == 0);
        for (int i = 0; i < 1100; i++) {
            GR_CHECK(cuMemsetD8Async(a, 0, 4, free_stream) == 0);
        }
        GR_CHECK(cuStreamSynchronize(free_stream) == 0);
    }
    GR_CHECK(late && unready, "another order than the stream's, and work that is not through");
    float milliseconds = 0;
    GR_CHECK(cuEventElapsedTime(&milliseconds, event, event) == INVALID_HANDLE, "it was made without time");
    gr_emulated_seed(1);
    bool refused = false;
    for (int i = 0; i < 20; i++) {
        GR_CHECK(cuMemcpyHtoDAsync_v2(a, memory, 4, blocking) == 0 && cuStreamDestroy_v2(blocking) == 0);
        const int result = cuMemFreeHost(memory);
        GR_CHECK(result == 0 || result == INVALID_VALUE);
        refused |= result == INVALID_VALUE;
        GR_CHECK(cuMemFree_v2(a) == 0, "waits for the copy, though its stream is gone");
        GR_CHECK(result == 0 || cuMemFreeHost(memory) == 0);
        GR_CHECK(cuMemAlloc_v2(&a, 4) == 0 && cuMemHostAlloc(&memory, 4, 0) == 0 && cuStreamCreate(&blocking, 0) == 0);
    }
    GR_CHECK(refused, "a copy still needs the memory");
    gr_emulated_seed(0);
    GR_CHECK(cuMemFree_v2(a) == 0 && cuMemFreeHost(memory) == 0 && cuEventDestroy_v2(event) == 0 &&
             cuStreamDestroy_v2(blocking) == 0);
}

static void blocks_of_a_grid(void* function, void* stream) {
    constexpr int X = 7, Y = 5;
    Address a = 0;
    GR_CHECK(cuMemAlloc_v2(&a, (X * Y + 1) * sizeof(int)) == 0);
    TraceParams params{reinterpret_cast<int*>(static_cast<uintptr_t>(a)),
                       reinterpret_cast<int*>(static_cast<uintptr_t>(a)) + X * Y};
    size_t bytes = sizeof params;
    void* extra[] = {reinterpret_cast<void*>(1), &params, reinterpret_cast<void*>(2), &bytes, nullptr};
    int different = 0, came[X * Y], before[X * Y] = {};
    for (int run = 0; run < 10; run++) {
        GR_CHECK(cuMemsetD8Async(a, 0, (X * Y + 1) * sizeof(int), stream) == 0);
        GR_CHECK(cuLaunchKernel(function, X, Y, 1, 32, 1, 1, 0, stream, nullptr, extra) == 0);
        GR_CHECK(cuMemcpyDtoHAsync_v2(came, a, sizeof came, stream) == 0);
        bool seen[X * Y] = {};
        for (const int block : came) {
            GR_CHECK(block >= 0 && block < X * Y && !seen[block], "block %d comes twice", block);
            seen[block] = true;
        }
        different += memcmp(came, before, sizeof came) != 0;
        memcpy(before, came, sizeof came);
    }
    GR_CHECK(different >= 9);
    GR_CHECK(cuMemFree_v2(a) == 0);
}

static void libraries(void* stream) {
    static int dropped = 0;
    int value = 0;
    const auto drop = [](void*) { dropped++; };
    GR_CHECK(gr_emulated_submit(stream, [](void* at) { return *static_cast<int*>(at) = 0; }, drop, &value) == 0);
    GR_CHECK(outcome(stream) == 0 && dropped == 1);
    GR_CHECK(gr_emulated_submit(stream, [](void*) { return 1; }, drop, nullptr) == 0);
    GR_CHECK(outcome(stream) == LAUNCH_FAILED && dropped == 2);
}

static void failures(void* stream) {
    Address a = 0, b = 0;
    size_t free_bytes = 0, total = 0;
    gr_emulated_refuse("cuMemAlloc_v2", 2, OUT_OF_MEMORY);
    GR_CHECK(cuMemAlloc_v2(&a, 4) == 0 && cuMemAlloc_v2(&b, 4) == OUT_OF_MEMORY && cuMemAlloc_v2(&b, 4) == 0);
    gr_emulated_memory(1000);
    gr_emulated_take(900);
    GR_CHECK(cuMemGetInfo_v2(&free_bytes, &total) == 0 && free_bytes == 992 && cuMemAlloc_v2(&b, 93) == OUT_OF_MEMORY);
    GR_CHECK(cuMemGetInfo_v2(&free_bytes, &total) == 0 && free_bytes == 92 && total == 1000);
    gr_emulated_take(0);
    gr_emulated_memory(0);
    GR_CHECK(cuStreamSynchronize(stream) == 0);
    gr_emulated_lose(2, LAUNCH_FAILED);
    GR_CHECK(cuMemsetD8Async(a, 0, 4, stream) == 0 && cuMemsetD8Async(a, 0, 4, stream) == 0, "not yet known");
    GR_CHECK(cuStreamSynchronize(stream) == LAUNCH_FAILED && cuMemsetD8Async(a, 0, 4, stream) == LAUNCH_FAILED);
    GR_CHECK(cuMemFree_v2(a) == LAUNCH_FAILED && cuMemAlloc_v2(&a, 4) == LAUNCH_FAILED);
    gr_emulated_lose(0, 0);
    GR_CHECK(cuStreamSynchronize(stream) == 0 && cuMemFree_v2(a) == 0 && cuMemFree_v2(b) == 0);
}

int main() {
    int count = 0, value = 0;
    void *context = nullptr, *stream = nullptr, *module = nullptr, *function = nullptr;
    Address address = 0;
    GR_CHECK(cuInit(0) == 0 && cuDeviceGetCount(&count) == 0 && count == 1);
    GR_CHECK(cuMemAlloc_v2(&address, 4) == INVALID_CONTEXT);
    GR_CHECK(cuDevicePrimaryCtxRetain(&context, 0) == 0 && cuCtxSetCurrent(context) == 0);
    gr_emulated_attribute(75, 7);
    GR_CHECK(cuDeviceGetAttribute(&value, 75, 0) == 0 && value == 7);
    gr_emulated_attribute(75, -1);
    GR_CHECK(cuDeviceGetAttribute(&value, 75, 0) == 0 && value == 9);
    GR_CHECK(cuStreamCreate(&stream, 0) == 0 && cuModuleLoadData(&module, "image") == 0);
    GR_CHECK(cuModuleGetFunction(&function, module, "gr_absent") == NOT_FOUND);
    GR_CHECK(cuModuleGetFunction(&function, module, "gr_test_add") == 0);
    memory(stream);
    launches({function, stream});
    graphs({function, stream});
    failures(stream);
    libraries(stream);
    void* second = nullptr;
    GR_CHECK(cuStreamCreate(&second, 1) == 0);
    orders(stream, second);
    hidden_order(second);
    GR_CHECK(cuStreamDestroy_v2(second) == 0);
    GR_CHECK(cuModuleGetFunction(&function, module, "gr_test_trace") == 0);
    blocks_of_a_grid(function, stream);
    GR_CHECK(cuModuleGetFunction(&function, module, "gr_test_add") == 0);
    GR_CHECK(cuStreamSynchronize(stream) == 0 && gr_emulated_objects() == 2,
             "the stream and the module are left, not %zu", gr_emulated_objects());
    GR_CHECK(cuModuleUnload(module) == 0 && (Launcher{function, stream})({nullptr, 0, 0}) == INVALID_HANDLE);
    GR_CHECK(cuStreamDestroy_v2(stream) == 0 && gr_emulated_objects() == 0);
    GR_CHECK(cuDevicePrimaryCtxRelease_v2(0) == 0 && cuDevicePrimaryCtxRelease_v2(0) == INVALID_CONTEXT);
    return 0;
}
