#include <string.h>

#include "emulator.h"

namespace gr::emulator {

namespace {

// Plain, because kernels register while static objects are still being made.
const Kernel* first = nullptr;

}  // namespace

Kernel::Kernel(const char* name, size_t params, Function function, int max_threads, int)
    : name(name), params(params), function(function), max_threads(max_threads), next(first) {
    first = this;
}

const Kernel* Kernel::find(const char* name) {
    const Kernel* kernel = first;
    while (kernel != nullptr && strcmp(kernel->name, name) != 0) {
        kernel = kernel->next;
    }
    return kernel;
}

}  // namespace gr::emulator
