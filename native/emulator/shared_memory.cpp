#include "shared_memory.h"

#include <string.h>

#include "detect.h"

namespace gr::emulator {

namespace {

constexpr unsigned char GUARD_BYTE = 0xA5;

size_t padded(size_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace

void SharedMemory::start(size_t dynamic_bytes) {
    while (count > 0) {
        detect::remove(parts[--count].start);
    }
    used = 0;
    static_used = 0;
    add(nullptr, "(dynamic)", dynamic_bytes);
}

void* SharedMemory::array(const void* site, const char* name, size_t bytes) {
    for (int i = 1; i < count; i++) {
        if (parts[i].site == site) {
            return parts[i].start;
        }
    }
    static_used += (bytes + 15) / 16 * 16;
    if (count == MAX_PARTS || static_used > MAX_STATIC_SHARED || static_used + parts[0].bytes > shared_limit) {
        return nullptr;
    }
    return add(site, name, bytes);
}

void* SharedMemory::add(const void* site, const char* name, size_t bytes) {
    unsigned char* start = memory + used;
    memset(start, 0xFF, bytes);
    memset(start + bytes, GUARD_BYTE, padded(bytes) + GUARD - bytes);
    used += padded(bytes) + GUARD;
    detect::add(start, bytes, detect::Memory::DEVICE, name);
    parts[count++] = {site, name, start, bytes};
    return start;
}

const char* SharedMemory::overrun() const {
    for (int i = 0; i < count; i++) {
        const Part& part = parts[i];
        for (size_t at = part.bytes; at < padded(part.bytes) + GUARD; at++) {
            if (part.start[at] != GUARD_BYTE) {
                return part.name;
            }
        }
    }
    return nullptr;
}

}  // namespace gr::emulator
