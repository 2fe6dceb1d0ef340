// Modules, functions and launches. Every kernel that is linked into this library is in every module, whatever its
// image.
#include <string.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "driver.h"
#include "emulator.h"
#include "order.h"

namespace gr::driver {

namespace {

struct Function {
    const emulator::Kernel* kernel;
    size_t dynamic_limit;
    bool loaded;
};

struct Module {
    int device;
    std::map<std::string, std::unique_ptr<Function>> functions;
};

std::set<Module*> modules;
std::set<Function*> functions;

constexpr size_t DYNAMIC_BY_DEFAULT = 48 * 1024;

constexpr int MAX_DYNAMIC_SHARED = 8;  // CUfunction_attribute

// Of cuLaunchKernel's `extra`, the way of passing parameters that there is here.
void* const END = nullptr;
void* const BUFFER_POINTER = reinterpret_cast<void*>(1);
void* const BUFFER_SIZE = reinterpret_cast<void*>(2);

// The bytes of the parameter struct, from cuLaunchKernel's `extra`; empty when they are wrong.
std::vector<unsigned char> parameters(const emulator::Kernel& kernel, void** extra) {
    const unsigned char* bytes = nullptr;
    size_t size = 0;
    for (int i = 0; extra != nullptr && extra[i] != END; i += 2) {
        if (extra[i] == BUFFER_POINTER) {
            bytes = static_cast<const unsigned char*>(extra[i + 1]);
        } else if (extra[i] == BUFFER_SIZE) {
            size = *static_cast<const size_t*>(extra[i + 1]);
        }
    }
    if (size != kernel.params || bytes == nullptr) {
        refuse(INVALID_VALUE, "kernel %s takes %zu bytes of parameters and was given %zu", kernel.name, kernel.params,
               size);
        return {};
    }
    return std::vector<unsigned char>(bytes, bytes + size);
}

Result execute(const emulator::Kernel& kernel, unsigned x, unsigned y, int block, size_t shared,
               const std::vector<unsigned char>& bytes) {
    alignas(128) unsigned char aligned[emulator::MAX_PARAMETERS];
    memcpy(aligned, bytes.data(), bytes.size());
    if (!emulator::run(kernel, x, y, block, shared, aligned)) {
        return LAUNCH_FAILED;
    }
    const Address damaged = damaged_allocation();
    if (damaged != 0) {
        return refuse(ILLEGAL_ADDRESS, "kernel %s wrote before or behind the allocation at 0x%llx", kernel.name,
                      damaged);
    }
    return SUCCESS;
}

void unload(Module* module) {
    modules.erase(module);
    for (const auto& entry : module->functions) {
        functions.erase(entry.second.get());
    }
    delete module;
}

}  // namespace

}  // namespace gr::driver

using namespace gr::driver;

GR_EXPORT size_t gr_emulated_objects() {
    const Lock held(lock);
    return open_allocations() + open_streams() + modules.size();
}

GR_EXPORT int cuDevicePrimaryCtxRelease_v2(int device) {
    GR_CALL
    bool ended = false;
    const Result result = leave_context(device, ended);
    if (ended) {
        wait_for_all();
        for (auto i = modules.begin(); i != modules.end();) {
            Module* module = *i++;
            if (module->device == device) {
                unload(module);
            }
        }
        end_streams(device);
        end_allocations(device);
    }
    return result != SUCCESS ? result : lost();
}

GR_EXPORT int cuModuleLoadData(void** handle, const void* image) {
    GR_CALL_IN_CONTEXT
    if (image == nullptr) {
        return INVALID_VALUE;
    }
    *handle = *modules.insert(new Module{current_device(), {}}).first;
    return SUCCESS;
}

GR_EXPORT int cuModuleUnload(void* handle) {
    GR_CALL_IN_CONTEXT
    Module* module = find(modules, handle);
    if (module == nullptr) {
        return refuse(INVALID_HANDLE, "%p is unloaded and is not a module", handle);
    }
    const Result result = wait_for_all();
    if (result == SUCCESS) {
        unload(module);
    }
    return result;
}

GR_EXPORT int cuModuleGetFunction(void** handle, void* module_handle, const char* name) {
    GR_CALL_IN_CONTEXT
    Module* module = static_cast<Module*>(module_handle);
    if (modules.count(module) == 0) {
        return INVALID_HANDLE;
    }
    const gr::emulator::Kernel* kernel = gr::emulator::Kernel::find(name);
    if (kernel == nullptr) {
        return NOT_FOUND;
    }
    std::unique_ptr<Function>& function = module->functions[name];
    if (!function) {
        function.reset(new Function{kernel, DYNAMIC_BY_DEFAULT, false});
        functions.insert(function.get());
    }
    *handle = function.get();
    return SUCCESS;
}

GR_EXPORT int cuFuncLoad(void* handle) {
    GR_CALL_IN_CONTEXT
    Function* function = find(functions, handle);
    if (function == nullptr) {
        return INVALID_HANDLE;
    }
    function->loaded = true;
    return SUCCESS;
}

GR_EXPORT int cuFuncSetAttribute(void* handle, int attribute, int value) {
    GR_CALL_IN_CONTEXT
    Function* function = find(functions, handle);
    if (function == nullptr) {
        return INVALID_HANDLE;
    }
    if (attribute == MAX_DYNAMIC_SHARED) {
        if (value < 0 || value > device_attribute(SHARED_PER_BLOCK)) {
            return refuse(INVALID_VALUE, "kernel %s asks for %d bytes of dynamic shared memory; %d is the most",
                          function->kernel->name, value, device_attribute(SHARED_PER_BLOCK));
        }
        function->dynamic_limit = static_cast<size_t>(value);
    }
    return SUCCESS;
}

GR_EXPORT int cuLaunchKernel(void* handle, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                             unsigned block_y, unsigned block_z, unsigned shared, void* stream, void**, void** extra) {
    GR_CALL_IN_CONTEXT
    Function* function = find(functions, handle);
    if (function == nullptr) {
        return refuse(INVALID_HANDLE, "%p is launched and is not a kernel", handle);
    }
    const gr::emulator::Kernel& kernel = *function->kernel;
    const bool grid = grid_x >= 1 && grid_x <= 2147483647u && grid_y >= 1 && grid_y <= 65535 && grid_z == 1;
    const bool block =
        block_x >= 1 && block_x <= static_cast<unsigned>(kernel.max_threads) && block_y == 1 && block_z == 1;
    if (!grid || !block) {
        return refuse(INVALID_VALUE,
                      "kernel %s is launched with %u x %u x %u blocks of %u x %u x %u threads; %d threads are the most",
                      kernel.name, grid_x, grid_y, grid_z, block_x, block_y, block_z, kernel.max_threads);
    }
    if (shared > function->dynamic_limit) {
        return refuse(INVALID_VALUE,
                      "kernel %s is launched with %u bytes of dynamic shared memory; %zu were set as the most",
                      kernel.name, shared, function->dynamic_limit);
    }
    const std::vector<unsigned char> bytes = parameters(kernel, extra);
    if (bytes.empty()) {
        return INVALID_VALUE;
    }
    if (!function->loaded) {
        if (capturing()) {
            return refuse(CAPTURE_UNSUPPORTED, "kernel %s is loaded by its first launch, which is captured",
                          kernel.name);
        }
        function->loaded = true;
        if (gr::emulator::roll(2) == 0 && wait_for_all() != SUCCESS) {  // loading may wait for the device
            return lost();
        }
    }
    const size_t most = static_cast<size_t>(device_attribute(SHARED_PER_BLOCK));
    return submit(stream, [&kernel, grid_x, grid_y, block_x, shared, bytes, most] {
        gr::emulator::shared_limit = most;
        return execute(kernel, grid_x, grid_y, static_cast<int>(block_x), shared, bytes);
    });
}

GR_EXPORT int gr_emulated_submit(void* stream, int (*work)(void*), void (*drop)(void*), void* argument) {
    const std::shared_ptr<void> owned(argument, drop);
    GR_CALL_IN_CONTEXT
    return submit(stream, [work, owned] { return work(owned.get()) == 0 ? SUCCESS : LAUNCH_FAILED; });
}
