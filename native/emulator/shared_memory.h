// The shared memory of the running block: the dynamic part and the static arrays that it has come to, each with a guard
// behind it.
#pragma once

#include "emulator.h"

namespace gr::emulator {

class SharedMemory {
public:
    // For a new block: the dynamic part is filled with 0xFF, the arrays are gone.
    void start(size_t dynamic_bytes);

    void* dynamic() { return memory; }

    // The array of a GR_SHARED line, filled with 0xFF when the block comes to it for the first time; null when there is
    // no room.
    void* array(const void* site, const char* name, size_t bytes);

    // The name of the part behind which something was written, or null.
    const char* overrun() const;

private:
    static constexpr size_t GUARD = 64;
    static constexpr int MAX_PARTS = 64;

    struct Part {
        const void* site;
        const char* name;
        unsigned char* start;
        size_t bytes;
    };

    void* add(const void* site, const char* name, size_t bytes);

    Part parts[MAX_PARTS];
    int count;
    size_t used, static_used;
    alignas(128) unsigned char memory[MAX_SHARED + MAX_STATIC_SHARED + 2 * GUARD * MAX_PARTS];
};

}  // namespace gr::emulator
