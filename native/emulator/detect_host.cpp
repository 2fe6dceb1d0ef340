// For tests that hand their own memory to kernels: all that is allocated with `new`, to the byte, and the stack.
#include <stdlib.h>

#include <new>

#include "detect.h"

extern "C" void* __libc_stack_end;

namespace {

using namespace gr::emulator;

constexpr size_t STACK = 8 << 20;

struct Stack {
    Stack() { detect::add(static_cast<char*>(__libc_stack_end) - STACK, STACK, detect::Memory::HOST, "the stack"); }
} const stack;

void* taken(void* memory, size_t bytes) {
    if (memory == nullptr) {
        abort();
    }
    detect::add(memory, bytes, detect::Memory::HOST, "memory of the test");
    return memory;
}

void given_back(void* memory) {
    detect::remove(memory);
    free(memory);
}

}  // namespace

void* operator new(size_t bytes) { return taken(malloc(bytes), bytes); }
void* operator new(size_t bytes, std::align_val_t alignment) {
    const size_t multiple = static_cast<size_t>(alignment);
    return taken(aligned_alloc(multiple, (bytes + multiple - 1) / multiple * multiple), bytes);
}
void operator delete(void* memory) noexcept { given_back(memory); }
void operator delete(void* memory, size_t) noexcept { given_back(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { given_back(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { given_back(memory); }
