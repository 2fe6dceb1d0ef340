// Switching between stacks on one operating-system thread.
#pragma once

#include <stddef.h>

// GR_UCONTEXT chooses the portable way where the quick one would do.
#if !defined(__x86_64__) && !defined(GR_UCONTEXT)
#define GR_UCONTEXT
#endif

#ifdef GR_UCONTEXT
#include <ucontext.h>
#endif

namespace gr::emulator {

#ifdef GR_UCONTEXT
using Fiber = ucontext_t;
#else
using Fiber = void*;  // the stack pointer, above which the registers lie that a call preserves
#endif

// Prepares a fiber that starts in entry, which must never return.
void prepare_fiber(Fiber& fiber, char* stack, size_t bytes, void (*entry)());

// Goes on in `to`; returns when somebody switches back to `from`.
void switch_fiber(Fiber& from, Fiber& to);

}  // namespace gr::emulator
