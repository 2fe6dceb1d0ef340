// Device memory, pinned memory, copies and fills.
#include <stdlib.h>
#include <string.h>

#include <map>

#include "driver.h"

namespace gr::driver {

namespace {

constexpr size_t GUARD = 256;  // on both sides of an allocation; as many bytes as the real driver aligns to

// Fresh memory and the guards: NaN for floating-point numbers, -1 for integers.
constexpr int POISON = 0xFF;

struct Allocation {
    size_t bytes;
    int device;
};

std::map<Address, Allocation> allocations;
std::map<void*, int> pinned;  // and the device whose context owns it
size_t used[MAX_DEVICES];

char* pointer(Address address) { return reinterpret_cast<char*>(static_cast<uintptr_t>(address)); }

bool intact(const char* guard) {
    for (size_t i = 0; i < GUARD; i++) {
        if (guard[i] != static_cast<char>(POISON)) {
            return false;
        }
    }
    return true;
}

void release(std::map<Address, Allocation>::iterator allocation) {
    used[allocation->second.device] -= allocation->second.bytes;
    memset(pointer(allocation->first), POISON, allocation->second.bytes);
    free(pointer(allocation->first) - GUARD);
    allocations.erase(allocation);
}

Result check(Address address, size_t bytes, const char* what) {
    if (current_device() < 0) {
        return no_context();
    }
    if (bytes != 0 && !in_device_memory(address, bytes)) {
        return refuse(INVALID_VALUE, "%s of %zu bytes at 0x%llx, which is not within an allocation", what, bytes,
                      address);
    }
    return SUCCESS;
}

Result copy(void* stream, void* to, const void* from, size_t bytes) {
    return submit(stream, [=] {
        memmove(to, from, bytes);
        return SUCCESS;
    });
}

Result to_device(void* stream, Address to, const void* from, size_t bytes) {
    const Lock held(lock);
    const Result result = check(to, bytes, "copy to the device");
    return result != SUCCESS ? result : copy(stream, pointer(to), from, bytes);
}

Result to_host(void* stream, void* to, Address from, size_t bytes) {
    const Lock held(lock);
    const Result result = check(from, bytes, "copy to the host");
    return result != SUCCESS ? result : copy(stream, to, pointer(from), bytes);
}

Result on_device(void* stream, Address to, Address from, size_t bytes) {
    const Lock held(lock);
    Result result = check(to, bytes, "copy within the device to a range");
    if (result == SUCCESS) {
        result = check(from, bytes, "copy within the device from a range");
    }
    return result != SUCCESS ? result : copy(stream, pointer(to), pointer(from), bytes);
}

template <class T>
Result fill(void* stream, Address to, T value, size_t count) {
    const Lock held(lock);
    const Result result = check(to, count * sizeof(T), "fill");
    if (result != SUCCESS) {
        return result;
    }
    if (to % sizeof(T) != 0) {
        return refuse(INVALID_VALUE, "fill at 0x%llx, which is not a multiple of %zu", to, sizeof(T));
    }
    return submit(stream, [=] {
        T* at = reinterpret_cast<T*>(pointer(to));
        for (size_t i = 0; i < count; i++) {
            at[i] = value;
        }
        return SUCCESS;
    });
}

// A call that blocks cannot be captured.
template <class Call>
int blocking(Call call) {
    const Lock held(lock);
    return capturing() ? CAPTURE_UNSUPPORTED : call();
}

}  // namespace

size_t memory_used(int device) { return used[device]; }

size_t open_allocations() { return allocations.size() + pinned.size(); }

bool in_device_memory(Address address, size_t bytes) {
    auto next = allocations.upper_bound(address);
    if (next == allocations.begin()) {
        return false;
    }
    --next;
    const size_t offset = static_cast<size_t>(address - next->first);
    return offset <= next->second.bytes && bytes <= next->second.bytes - offset;
}

Address damaged_allocation() {
    for (const auto& allocation : allocations) {
        char* start = pointer(allocation.first);
        char* end = start + allocation.second.bytes;
        if (!intact(start - GUARD) || !intact(end)) {
            memset(start - GUARD, POISON, GUARD);
            memset(end, POISON, GUARD);
            return allocation.first;
        }
    }
    return 0;
}

void end_context(int device) {
    for (auto i = allocations.begin(); i != allocations.end();) {
        const auto allocation = i++;
        if (allocation->second.device == device) {
            release(allocation);
        }
    }
    for (auto i = pinned.begin(); i != pinned.end();) {
        const auto memory = i++;
        if (memory->second == device) {
            free(memory->first);
            pinned.erase(memory);
        }
    }
}

}  // namespace gr::driver

using namespace gr::driver;

GR_EXPORT int cuMemGetInfo_v2(size_t* free_bytes, size_t* total) {
    const Lock held(lock);
    const int device = current_device();
    if (device < 0) {
        return no_context();
    }
    *total = memory_limit();
    *free_bytes = memory_used(device) < *total ? *total - memory_used(device) : 0;
    return SUCCESS;
}

GR_EXPORT int cuMemAlloc_v2(Address* address, size_t bytes) {
    const Lock held(lock);
    const int device = current_device();
    if (device < 0) {
        return no_context();
    }
    if (bytes == 0) {
        return refuse(INVALID_VALUE, "an allocation of no bytes");
    }
    if (capturing()) {
        return CAPTURE_UNSUPPORTED;
    }
    const size_t limit = memory_limit();
    if (bytes > limit || used[device] > limit - bytes) {
        return OUT_OF_MEMORY;
    }
    const size_t whole = (bytes + GUARD - 1) / GUARD * GUARD + 2 * GUARD;
    char* memory = static_cast<char*>(aligned_alloc(GUARD, whole));
    if (memory == nullptr) {
        return OUT_OF_MEMORY;
    }
    memset(memory, POISON, whole);
    *address = static_cast<Address>(reinterpret_cast<uintptr_t>(memory + GUARD));
    allocations[*address] = {bytes, device};
    used[device] += bytes;
    return SUCCESS;
}

GR_EXPORT int cuMemFree_v2(Address address) {
    const Lock held(lock);
    if (address == 0) {
        return SUCCESS;
    }
    const auto allocation = allocations.find(address);
    if (allocation == allocations.end()) {
        return refuse(INVALID_VALUE, "0x%llx is freed and is not allocated", address);
    }
    release(allocation);
    return SUCCESS;
}

GR_EXPORT int cuMemHostAlloc(void** memory, size_t bytes, unsigned) {
    const Lock held(lock);
    const int device = current_device();
    if (device < 0) {
        return no_context();
    }
    *memory = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    if (*memory == nullptr || bytes == 0) {
        free(*memory);
        return bytes == 0 ? INVALID_VALUE : OUT_OF_MEMORY;
    }
    memset(*memory, POISON, bytes);
    pinned[*memory] = device;
    return SUCCESS;
}

GR_EXPORT int cuMemFreeHost(void* memory) {
    const Lock held(lock);
    if (pinned.erase(memory) == 0) {
        return refuse(INVALID_VALUE, "pinned memory at %p is freed and is not allocated", memory);
    }
    free(memory);
    return SUCCESS;
}

GR_EXPORT int cuMemcpyHtoDAsync_v2(Address to, const void* from, size_t bytes, void* stream) {
    return to_device(stream, to, from, bytes);
}

GR_EXPORT int cuMemcpyDtoHAsync_v2(void* to, Address from, size_t bytes, void* stream) {
    return to_host(stream, to, from, bytes);
}

GR_EXPORT int cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, void* stream) {
    return on_device(stream, to, from, bytes);
}

GR_EXPORT int cuMemcpyDtoH_v2(void* to, Address from, size_t bytes) {
    return blocking([=] { return to_host(nullptr, to, from, bytes); });
}

GR_EXPORT int cuMemsetD8Async(Address to, unsigned char value, size_t count, void* stream) {
    return fill(stream, to, value, count);
}

GR_EXPORT int cuMemsetD32Async(Address to, unsigned value, size_t count, void* stream) {
    return fill(stream, to, value, count);
}
