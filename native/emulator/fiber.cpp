#include "fiber.h"

#include <stdint.h>

namespace gr::emulator {

#ifndef GR_UCONTEXT

// void gr_switch_stack(void** save, void* to): the six registers that a call preserves in the System V ABI, then the
// stack.
__asm__(
    ".text\n"
    ".type gr_switch_stack, @function\n"
    "gr_switch_stack:\n"
    "    pushq %rbp\n"
    "    pushq %rbx\n"
    "    pushq %r12\n"
    "    pushq %r13\n"
    "    pushq %r14\n"
    "    pushq %r15\n"
    "    movq %rsp, (%rdi)\n"
    "    movq %rsi, %rsp\n"
    "    popq %r15\n"
    "    popq %r14\n"
    "    popq %r13\n"
    "    popq %r12\n"
    "    popq %rbx\n"
    "    popq %rbp\n"
    "    ret\n"  // all switches come from few places, so the processor's guess of the return address is right
    ".size gr_switch_stack, .-gr_switch_stack\n");

extern "C" void gr_switch_stack(void** save, void* to) __attribute__((visibility("hidden")));

void prepare_fiber(Fiber& fiber, char* stack, size_t bytes, void (*entry)()) {
    auto top = reinterpret_cast<uintptr_t*>((reinterpret_cast<uintptr_t>(stack) + bytes) & ~static_cast<uintptr_t>(15));
    // A function starts as if called: 8 bytes, the return address, below a multiple of 16.
    *--top = 0;
    *--top = reinterpret_cast<uintptr_t>(entry);
    for (int i = 0; i < 6; i++) {
        *--top = 0;
    }
    fiber = top;
}

void switch_fiber(Fiber& from, Fiber& to) { gr_switch_stack(&from, to); }

#else

void prepare_fiber(Fiber& fiber, char* stack, size_t bytes, void (*entry)()) {
    getcontext(&fiber);
    fiber.uc_stack.ss_sp = stack;
    fiber.uc_stack.ss_size = bytes;
    fiber.uc_link = nullptr;
    makecontext(&fiber, entry, 0);
}

void switch_fiber(Fiber& from, Fiber& to) { swapcontext(&from, &to); }

#endif

}  // namespace gr::emulator
