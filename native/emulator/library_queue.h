// How the stand-ins of the libraries queue their work in a stream of the stand-in driver.
#pragma once

#include <dlfcn.h>

namespace gr::library {

// A function of the driver, which is there already: who has a stream or device memory has it from there. Null without.
template <class Function>
Function driver(const char* name) {
    void* library = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
    return library == nullptr ? nullptr : reinterpret_cast<Function>(dlsym(library, name));
}

// Queues work, a function object that returns 0 when it went well; false when the driver does not take it.
template <class Work>
bool enqueue(void* stream, Work work) {
    using Submit = int (*)(void*, int (*)(void*), void (*)(void*), void*);
    static const auto submit = driver<Submit>("gr_emulated_submit");
    const auto run = [](void* own) { return (*static_cast<Work*>(own))(); };
    const auto drop = [](void* own) { delete static_cast<Work*>(own); };
    return submit != nullptr && submit(stream, run, drop, new Work(work)) == 0;
}

// Whether the driver has a current context whose device is not lost.
inline bool usable() {
    constexpr int SUCCESS = 0, NOT_READY = 600;
    static const auto query = driver<int (*)(void*)>("cuStreamQuery");
    const int result = query == nullptr ? -1 : query(nullptr);
    return result == SUCCESS || result == NOT_READY;
}

}  // namespace gr::library
