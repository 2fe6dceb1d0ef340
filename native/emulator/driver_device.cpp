// Initialisation, devices, contexts.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <map>

#include "driver.h"

namespace gr::driver {

std::recursive_mutex lock;

namespace {

struct Context {
    int device;
    int users;
};

bool initialized = false;
Context contexts[MAX_DEVICES];
thread_local Context* current = nullptr;
std::map<int, int> overrides;
size_t memory_override = 0;

int driver_version = 13000;
constexpr int SINGLE_TO_DOUBLE = 87;

long long environment(const char* name, long long otherwise) {
    const char* text = getenv(name);
    return text == nullptr || *text == 0 ? otherwise : atoll(text);
}

// An H100 in CUdevice_attribute's numbers, but for the few multiprocessors: a grid that fills the device stays small.
const std::map<int, int> ATTRIBUTES = {
    {1, 1024},  // threads per block
    {2, 1024},  // block dimensions
    {3, 1024},
    {4, 64},
    {5, 2147483647},  // grid dimensions
    {6, 65535},
    {7, 65535},
    {8, 49152},        // shared memory per block
    {9, 65536},        // constant memory
    {10, 32},          // warp
    {11, 2147483647},  // pitch
    {12, 65536},       // registers per block
    {13, 1980000},     // clock, kHz
    {14, 512},         // texture alignment
    {15, 1},           // overlap
    {16, 2},           // multiprocessors
    {19, 1},           // maps host memory
    {31, 1},           // concurrent kernels
    {32, 1},           // ECC
    {36, 2619000},     // memory clock, kHz
    {37, 5120},        // memory bus, bits
    {38, 52428800},    // second-level cache
    {39, 2048},        // threads per multiprocessor
    {40, 3},           // copy engines
    {41, 1},           // unified addressing
    {75, 9},           // compute capability
    {76, 0},
    {78, 1},       // stream priorities
    {81, 233472},  // shared memory per multiprocessor
    {82, 65536},   // registers per multiprocessor
    {SINGLE_TO_DOUBLE, 2},
    {95, 1},       // cooperative launch
    {SHARED_PER_BLOCK, 232448},  // opt-in
    {106, 32},     // blocks per multiprocessor
    {111, 1024},   // shared memory that the system takes per block
};

Context* context_of(void* handle) {
    for (int i = 0; i < device_count(); i++) {
        if (&contexts[i] == handle && contexts[i].users > 0) {
            return &contexts[i];
        }
    }
    return nullptr;
}

}  // namespace

Result refuse(Result result, const char* format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "emulated driver: %s\n", text);
    return result;
}

int device_count() {
    const long long count = environment("GROUPREDUCE_EMULATED_DEVICES", 1);
    return count < 0 ? 0 : count > MAX_DEVICES ? MAX_DEVICES : static_cast<int>(count);
}

bool is_device(int device) { return device >= 0 && device < device_count(); }

int current_device() { return current == nullptr || lost() != SUCCESS ? -1 : current->device; }

Result no_context() { return current != nullptr ? lost() : initialized ? INVALID_CONTEXT : NOT_INITIALIZED; }

Result leave_context(int device, bool& ended) {
    if (!is_device(device)) {
        return INVALID_DEVICE;
    }
    if (contexts[device].users == 0) {
        return refuse(INVALID_CONTEXT, "the primary context of device %d is released once too often", device);
    }
    ended = --contexts[device].users == 0;
    return SUCCESS;
}

int device_attribute(int which) {
    const auto override_ = overrides.find(which);
    if (override_ != overrides.end()) {
        return override_->second;
    }
    const auto known = ATTRIBUTES.find(which);
    const int value = known != ATTRIBUTES.end() ? known->second : 0;
    if (which == SINGLE_TO_DOUBLE) {
        return static_cast<int>(environment("GROUPREDUCE_EMULATED_DOUBLE_RATIO", value));
    }
    return value;
}

size_t memory_limit() {
    return memory_override != 0 ? memory_override
                                : static_cast<size_t>(environment("GROUPREDUCE_EMULATED_MEMORY", 2LL << 30));
}

}  // namespace gr::driver

using namespace gr::driver;

GR_EXPORT void gr_emulated_memory(size_t bytes) {
    const Lock held(lock);
    memory_override = bytes;
}

GR_EXPORT void gr_emulated_attribute(int which, int value) {
    const Lock held(lock);
    if (value < 0) {
        overrides.erase(which);
    } else {
        overrides[which] = value;
    }
}

GR_EXPORT void gr_emulated_driver(int version) {
    const Lock held(lock);
    driver_version = version;
}

GR_EXPORT int cuInit(unsigned flags) {
    GR_CALL
    if (flags != 0) {
        return INVALID_VALUE;
    }
    initialized = true;
    return device_count() == 0 ? NO_DEVICE : SUCCESS;
}

GR_EXPORT int cuDriverGetVersion(int* version) {
    *version = driver_version;
    return SUCCESS;
}

GR_EXPORT int cuDeviceGetCount(int* count) {
    *count = device_count();
    return initialized ? SUCCESS : NOT_INITIALIZED;
}

GR_EXPORT int cuDeviceGet(int* device, int ordinal) {
    *device = ordinal;
    return !initialized ? NOT_INITIALIZED : is_device(ordinal) ? SUCCESS : INVALID_DEVICE;
}

GR_EXPORT int cuDeviceGetName(char* name, int bytes, int device) {
    if (!is_device(device)) {
        return INVALID_DEVICE;
    }
    snprintf(name, static_cast<size_t>(bytes), "emulated device, no GPU");
    return SUCCESS;
}

GR_EXPORT int cuDeviceTotalMem_v2(size_t* bytes, int device) {
    const Lock held(lock);
    *bytes = memory_limit();
    return is_device(device) ? SUCCESS : INVALID_DEVICE;
}

GR_EXPORT int cuDeviceGetAttribute(int* value, int which, int device) {
    const Lock held(lock);
    if (!is_device(device)) {
        return INVALID_DEVICE;
    }
    *value = device_attribute(which);
    return SUCCESS;
}

GR_EXPORT int cuDevicePrimaryCtxRetain(void** context, int device) {
    GR_CALL
    if (!initialized) {
        return NOT_INITIALIZED;
    }
    if (!is_device(device)) {
        return INVALID_DEVICE;
    }
    if (lost() != SUCCESS) {
        return lost();
    }
    contexts[device].device = device;
    contexts[device].users++;
    *context = &contexts[device];
    return SUCCESS;
}

GR_EXPORT int cuCtxSetCurrent(void* context) {
    GR_CALL
    if (context != nullptr && context_of(context) == nullptr) {
        return INVALID_CONTEXT;
    }
    current = context_of(context);
    return SUCCESS;
}
