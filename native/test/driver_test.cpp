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
int cuEventElapsedTime(float*, void*, void*);
int cuModuleLoadData(void**, const void*);
int cuModuleUnload(void*);
int cuModuleGetFunction(void**, void*, const char*);
int cuFuncSetAttribute(void*, int, int);
int cuLaunchKernel(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**);
void gr_emulated_memory(size_t);
void gr_emulated_attribute(int, int);
size_t gr_emulated_objects();
}

namespace {

constexpr int INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_CONTEXT = 201, INVALID_HANDLE = 400, NOT_FOUND = 500,
              ILLEGAL_ADDRESS = 700, LAUNCH_FAILED = 719, CAPTURE_UNSUPPORTED = 900, CAPTURE_UNJOINED = 904;

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
    GR_CHECK(*on_device(b + 96) == 2 && cuMemcpyDtoDAsync_v2(b, b + 96, 4, stream) == 0 && *on_device(b) == 2);
    GR_CHECK(cuMemsetD8Async(b, 0, 101, stream) == INVALID_VALUE && cuMemsetD8Async(b + 4, 0, 96, stream) == 0 &&
             *on_device(b) == 2 && *on_device(b + 96) == 0);
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
    GR_CHECK(launch({on_device(a), 200, 1.5f}) == 0 && *on_device(a) == 1.5f && *on_device(a + 796) == 1.5f);
    AddParams params{on_device(a), 200, 1};
    GR_CHECK(cuLaunchKernel(launch.function, 2, 1, 1, 128, 1, 1, 512, launch.stream, nullptr, nullptr) ==
             INVALID_VALUE);
    GR_CHECK(launch(params, sizeof params - 8) == INVALID_VALUE &&
             launch(params, sizeof params, 160, 640) == INVALID_VALUE);
    GR_CHECK(launch(params, sizeof params, 128, 48 * 1024 + 4) == INVALID_VALUE);
    GR_CHECK(cuFuncSetAttribute(launch.function, 8, 228 * 1024) == INVALID_VALUE);
    GR_CHECK(cuFuncSetAttribute(launch.function, 8, 64 * 1024) == 0 &&
             launch(params, sizeof params, 128, 64 * 1024) == 0);
    GR_CHECK(launch(params, sizeof params, 128, 256) == LAUNCH_FAILED, "shared memory is too small for the kernel");
    GR_CHECK(launch({on_device(a), 201, 1}) == ILLEGAL_ADDRESS, "one float too many");
    GR_CHECK(launch(params) == 0 && cuMemFree_v2(a) == 0);
}

static void graphs(const Launcher& launch) {
    Address a = 0;
    void *other = nullptr, *forked = nullptr, *joined = nullptr, *graph = nullptr, *instance = nullptr;
    float source = 10, result = 0;
    GR_CHECK(cuMemAlloc_v2(&a, sizeof(float)) == 0 && cuStreamCreate(&other, 0) == 0);
    GR_CHECK(cuEventCreate(&forked, 0) == 0 && cuEventCreate(&joined, 0) == 0);
    GR_CHECK(cuStreamBeginCapture_v2(launch.stream, 0) == 0);
    GR_CHECK(cuMemcpyHtoDAsync_v2(a, &source, sizeof source, launch.stream) == 0);
    GR_CHECK(cuEventRecord(forked, launch.stream) == 0 && cuStreamWaitEvent(other, forked, 0) == 0);
    GR_CHECK((Launcher{launch.function, other})({on_device(a), 1, 1}) == 0);
    GR_CHECK(cuEventRecord(joined, other) == 0 && cuStreamWaitEvent(launch.stream, joined, 0) == 0);
    GR_CHECK(cuMemcpyDtoHAsync_v2(&result, a, sizeof result, launch.stream) == 0);
    GR_CHECK(cuStreamSynchronize(launch.stream) == CAPTURE_UNSUPPORTED && cuMemAlloc_v2(&a, 4) == CAPTURE_UNSUPPORTED);
    GR_CHECK(cuStreamEndCapture(launch.stream, &graph) == 0 && isnan(*on_device(a)), "nothing ran yet");
    GR_CHECK(cuGraphInstantiateWithFlags(&instance, graph, 0) == 0 && cuGraphDestroy(graph) == 0);
    for (int i = 0; i < 3; i++) {
        source = static_cast<float>(i);
        GR_CHECK(cuGraphLaunch(instance, launch.stream) == 0 && cuStreamSynchronize(launch.stream) == 0 &&
                 result == source + 1);
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
    GR_CHECK(cuEventElapsedTime(&milliseconds, forked, joined) == 0 && milliseconds >= 0);
    GR_CHECK(cuGraphExecDestroy(instance) == 0 && cuGraphLaunch(instance, launch.stream) == INVALID_VALUE);
    GR_CHECK(cuEventDestroy_v2(forked) == 0 && cuEventDestroy_v2(joined) == 0 && cuStreamDestroy_v2(other) == 0 &&
             cuMemFree_v2(a) == 0);
    GR_CHECK(cuStreamSynchronize(other) == INVALID_HANDLE);
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
    GR_CHECK(cuStreamSynchronize(stream) == 0 && gr_emulated_objects() == 2,
             "the stream and the module are left, not %zu", gr_emulated_objects());
    GR_CHECK(cuModuleUnload(module) == 0 && (Launcher{function, stream})({nullptr, 0, 0}) == INVALID_HANDLE);
    GR_CHECK(cuStreamDestroy_v2(stream) == 0 && gr_emulated_objects() == 0);
    GR_CHECK(cuDevicePrimaryCtxRelease_v2(0) == 0 && cuDevicePrimaryCtxRelease_v2(0) == INVALID_CONTEXT);
    return 0;
}
