// Device memory, which ends with its context, pinned memory, copies and fills.
#include <stdlib.h>
#include <string.h>

#include <map>

#include "detect.h"
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
std::map<void*, Allocation> pinned;
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
    emulator::detect::remove(pointer(allocation->first));
    free(pointer(allocation->first) - GUARD);
    allocations.erase(allocation);
}

// True when all bytes lie in one live allocation.
bool in_device_memory(Address address, size_t bytes) {
    auto next = allocations.upper_bound(address);
    if (next == allocations.begin()) {
        return false;
    }
    --next;
    const size_t offset = static_cast<size_t>(address - next->first);
    return offset <= next->second.bytes && bytes <= next->second.bytes - offset;
}

Result check(Address address, size_t bytes, const char* what) {
    if (bytes != 0 && !in_device_memory(address, bytes)) {
        return refuse(INVALID_VALUE, "%s of %zu bytes at 0x%llx, which is not within an allocation", what, bytes,
                      address);
    }
    return SUCCESS;
}

void give_back(void* memory) {
    emulator::detect::remove(memory);
    free(memory);
}

Result copy(void* stream, void* to, const void* from, size_t bytes, const void* host = nullptr) {
    return submit(
        stream,
        [=] {
            memmove(to, from, bytes);
            emulator::detect::written(to, bytes);
            return SUCCESS;
        },
        {static_cast<const char*>(host), host == nullptr ? 0 : bytes});
}

// Whether the host's memory is page-locked. Other memory has been read, or is filled, when a copy's call returns.
bool is_pinned(const void* memory) {
    auto next = pinned.upper_bound(const_cast<void*>(memory));
    return next != pinned.begin() && static_cast<const char*>((--next)->first) + next->second.bytes > memory;
}

}  // namespace

size_t open_allocations() { return allocations.size() + pinned.size(); }

void end_allocations(int device) {
    for (auto i = allocations.begin(); i != allocations.end();) {
        const auto allocation = i++;
        if (allocation->second.device == device) {
            release(allocation);
        }
    }
    for (auto i = pinned.begin(); i != pinned.end();) {
        const auto memory = i++;
        if (memory->second.device == device) {
            give_back(memory->first);
            pinned.erase(memory);
        }
    }
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

}  // namespace gr::driver

using namespace gr::driver;

GR_EXPORT int cuMemGetInfo_v2(size_t* free_bytes, size_t* total) {
    GR_CALL_IN_CONTEXT
    const int device = current_device();
    *total = memory_limit();
    const size_t taken = used[device] + held_elsewhere();
    *free_bytes = taken < *total ? *total - taken : 0;
    let_others_take();
    return SUCCESS;
}

GR_EXPORT int cuMemAlloc_v2(Address* address, size_t bytes) {
    GR_CALL_IN_CONTEXT
    const int device = current_device();
    if (bytes == 0) {
        return refuse(INVALID_VALUE, "an allocation of no bytes");
    }
    if (capturing()) {
        return CAPTURE_UNSUPPORTED;
    }
    const size_t limit = memory_limit();
    if (bytes > limit || used[device] + held_elsewhere() > limit - bytes) {
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
    gr::emulator::detect::add(memory + GUARD, bytes, gr::emulator::detect::Memory::DEVICE, "device memory");
    used[device] += bytes;
    return SUCCESS;
}

GR_EXPORT int cuMemFree_v2(Address address) {
    GR_CALL_IN_CONTEXT
    if (address == 0) {
        return SUCCESS;
    }
    const auto allocation = allocations.find(address);
    if (allocation == allocations.end()) {
        return refuse(INVALID_VALUE, "0x%llx is freed and is not allocated", address);
    }
    const Result result = wait_for_all();
    if (result == SUCCESS) {
        release(allocation);
    }
    return result;
}

GR_EXPORT int cuMemHostAlloc(void** memory, size_t bytes, unsigned) {
    GR_CALL_IN_CONTEXT
    const int device = current_device();
    *memory = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    if (*memory == nullptr || bytes == 0) {
        free(*memory);
        return bytes == 0 ? INVALID_VALUE : OUT_OF_MEMORY;
    }
    memset(*memory, POISON, bytes);
    gr::emulator::detect::add(*memory, bytes, gr::emulator::detect::Memory::HOST, "pinned memory");
    pinned[*memory] = {bytes, current_device()};
    return SUCCESS;
}

GR_EXPORT int cuMemFreeHost(void* memory) {
    GR_CALL_IN_CONTEXT
    const auto allocation = pinned.find(memory);
    if (allocation == pinned.end()) {
        return refuse(INVALID_VALUE, "pinned memory at %p is freed and is not allocated", memory);
    }
    if (is_needed({static_cast<const char*>(memory), allocation->second.bytes})) {
        return refuse(INVALID_VALUE, "pinned memory at %p is freed while a copy that needs it is queued", memory);
    }
    pinned.erase(allocation);
    give_back(memory);
    return SUCCESS;
}

// Only the device that memory was taken on or for: CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL.
GR_EXPORT int cuPointerGetAttribute(void* value, int attribute, Address address) {
    GR_CALL_IN_CONTEXT
    if (attribute != 9) {
        return refuse(INVALID_VALUE, "pointer attribute %d is not known", attribute);
    }
    auto next = allocations.upper_bound(address);
    if (next == allocations.begin() || !in_device_memory(address, 1)) {
        return INVALID_VALUE;
    }
    *static_cast<int*>(value) = (--next)->second.device;
    return SUCCESS;
}

GR_EXPORT int cuMemcpyHtoDAsync_v2(Address to, const void* from, size_t bytes, void* stream) {
    GR_CALL_IN_CONTEXT
    const Result result = check(to, bytes, "copy to the device");
    if (result != SUCCESS || is_pinned(from)) {
        return result != SUCCESS ? result : copy(stream, pointer(to), from, bytes, from);
    }
    const auto start = static_cast<const char*>(from);
    return submit(stream, [to, staged = std::vector<char>(start, start + bytes)] {
        memcpy(pointer(to), staged.data(), staged.size());
        return SUCCESS;
    });
}

GR_EXPORT int cuMemcpyDtoHAsync_v2(void* to, Address from, size_t bytes, void* stream) {
    GR_CALL_IN_CONTEXT
    Result result = check(from, bytes, "copy to the host");
    if (result == SUCCESS) {
        result = copy(stream, to, pointer(from), bytes, to);
    }
    return result != SUCCESS || is_pinned(to) ? result : finish(stream);
}

GR_EXPORT int cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, void* stream) {
    GR_CALL_IN_CONTEXT
    Result result = check(to, bytes, "copy within the device to a range");
    if (result == SUCCESS) {
        result = check(from, bytes, "copy within the device from a range");
    }
    return result != SUCCESS ? result : copy(stream, pointer(to), pointer(from), bytes);
}

GR_EXPORT int cuMemsetD8Async(Address to, unsigned char value, size_t count, void* stream) {
    GR_CALL_IN_CONTEXT
    const Result result = check(to, count, "fill");
    return result != SUCCESS ? result : submit(stream, [=] {
        memset(pointer(to), value, count);
        gr::emulator::detect::written(pointer(to), count);
        return SUCCESS;
    });
}
