// What compilers call for -fsanitize=thread and -fsanitize=alignment, instead of their own libraries.
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "detect.h"

using namespace gr::emulator::detect;

// The first members of what the compiler says of a pointer: where it is used, and for what.
struct Mismatch {
    const char* file;
    uint32_t line, column;
    const void* type;
    unsigned char log_alignment;
};

// The line of the source that an instruction comes from, where addr2line is there to say.
std::string gr::emulator::detect::line_of(void* instruction) {
    Dl_info file;
    if (instruction == nullptr || dladdr(instruction, &file) == 0) {
        return "";
    }
    const size_t offset = static_cast<char*>(instruction) - static_cast<char*>(file.dli_fbase);
    char text[512];
    snprintf(text, sizeof text, "addr2line -s -e '%s' 0x%zx 2>/dev/null", file.dli_fname, offset - 1);
    FILE* const answer = popen(text, "r");
    const bool known = answer != nullptr && fgets(text, sizeof text, answer) != nullptr && text[0] != '?';
    if (answer != nullptr) {
        pclose(answer);
    }
    return known ? " (" + std::string(text, strcspn(text, " \n")) + ")" : "";
}

namespace {

// Orders as the compiler numbers them.
void update(const volatile void* at, size_t bytes, int order, void* instruction) {
    access(ATOMIC, at, bytes, instruction);
    if (order != __ATOMIC_RELAXED) {
        synchronize(at, order != __ATOMIC_RELEASE, order >= __ATOMIC_RELEASE);
    }
}

}  // namespace

extern "C" {

void __tsan_init() { watch(); }
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_read_range(void* at, size_t bytes) { access(READ, at, bytes, __builtin_return_address(0)); }
void __tsan_write_range(void* at, size_t bytes) { access(WRITE, at, bytes, __builtin_return_address(0)); }

#define GR_PLAIN(bytes)                                                                                        \
    void __tsan_read##bytes(void* at) { access(READ, at, bytes, __builtin_return_address(0)); }                \
    void __tsan_write##bytes(void* at) { access(WRITE, at, bytes, __builtin_return_address(0)); }              \
    void __tsan_unaligned_read##bytes(void* at) { access(READ, at, bytes, __builtin_return_address(0)); }      \
    void __tsan_unaligned_write##bytes(void* at) { access(WRITE, at, bytes, __builtin_return_address(0)); }
GR_PLAIN(1)
GR_PLAIN(2)
GR_PLAIN(4)
GR_PLAIN(8)
GR_PLAIN(16)

#define GR_ATOMIC(bits)                                                                                             \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t* at, int order) {                       \
        update(at, bits / 8, order, __builtin_return_address(0));                                                   \
        return *at;                                                                                                 \
    }                                                                                                               \
    void __tsan_atomic##bits##_store(volatile uint##bits##_t* at, uint##bits##_t value, int order) {                \
        update(at, bits / 8, order, __builtin_return_address(0));                                                   \
        *at = value;                                                                                                \
    }                                                                                                               \
    uint##bits##_t __tsan_atomic##bits##_fetch_add(volatile uint##bits##_t* at, uint##bits##_t value, int order) {  \
        update(at, bits / 8, order, __builtin_return_address(0));                                                   \
        return __atomic_fetch_add(at, value, __ATOMIC_RELAXED);                                                     \
    }                                                                                                               \
    bool __tsan_atomic##bits##_compare_exchange_strong(volatile uint##bits##_t* at, uint##bits##_t* expected,       \
                                                       uint##bits##_t value, int order, int) {                      \
        update(at, bits / 8, order, __builtin_return_address(0));                                                   \
        return __atomic_compare_exchange_n(at, expected, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);         \
    }
GR_ATOMIC(32)
GR_ATOMIC(64)

void __ubsan_handle_type_mismatch_v1(const Mismatch* use, uintptr_t at) {
    misaligned(at, size_t{1} << use->log_alignment, use->file, use->line);
}

}  // extern "C"
