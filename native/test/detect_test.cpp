// The detectors: a planted fault of every kind is found and named, and the same kernel without it runs.
#include <vector>

#include "../emulator/detect.h"
#include "fault.h"
#include "groupreduce/device.h"

using namespace gr::emulator;
using gr::test::failure_of;

enum Fault {
    BLOCK_RACE,
    WARP_RACE,
    READ_BEFORE_WRITE,
    GRID_RACE,
    READ_BY_MANY,
    HANDED_ON,
    HANDED_TO_ONE,
    UPDATED,
    BYTE_RACE,
    COPY_RACE,
    OUTSIDE,
    BEFORE,
    FREED,
    STATIC_OUTSIDE,
    DYNAMIC_OUTSIDE,
    STACK,
    PARAMETERS,
    MISALIGNED,
    UNWRITTEN_SHARED,
    UNWRITTEN_BYTE,
    UNWRITTEN
};

struct FaultParams {
    int fault;
    bool mended;
    int* memory;   // [2 blocks][64 threads]
    int* results;  // the same
};

GR_KERNEL(gr_test_fault, FaultParams, 64) {
    GR_SHARED(int, fixed, 64);
    GR_DYNAMIC_SHARED(int*, dynamic);
    const int t = static_cast<int>(threadIdx.x), own = static_cast<int>(blockIdx.x) * 64 + t;
    uint8_t* bytes = reinterpret_cast<uint8_t*>(p.memory);
    int& result = p.results[own];
    if (p.fault <= COPY_RACE) {
        fixed[t] = 0;
        gr::sync_block();
    }
    switch (p.fault) {
        case BLOCK_RACE:
            fixed[t] = t;
            p.mended ? gr::sync_block() : gr::sync_warp();
            result = fixed[63 - t];
            break;
        case WARP_RACE:
            fixed[t] = t;
            if (p.mended) {
                gr::sync_warp();
            }
            result = fixed[t ^ 1];
            break;
        case READ_BEFORE_WRITE:
            fixed[t] = t;
            gr::sync_block();
            result = fixed[63 - t];
            p.mended ? gr::sync_block() : gr::sync_warp();
            fixed[t] = 1;
            break;
        case GRID_RACE:
            p.memory[p.mended ? own : t] = t;
            break;
        case READ_BY_MANY:
            result = p.memory[0];
            if (!p.mended && own == 100) {
                p.memory[0] = 1;
            }
            break;
        case HANDED_ON:
        case HANDED_TO_ONE: {
            // The block that comes second reads what the first wrote.
            if (t == 0) {
                fixed[0] = gr::atomic_add(p.memory + 1, 1);
            }
            gr::sync_block();
            const bool second = fixed[0] == 0;
            const int other = own ^ 64;
            if (own > 1) {
                p.memory[own] = own;
            }
            gr::sync_block();
            if (t == 0 && (p.mended || p.fault == HANDED_TO_ONE)) {
                __atomic_fetch_add(p.memory, 1, __ATOMIC_ACQ_REL);
            }
            if (p.mended || p.fault == HANDED_ON) {
                gr::sync_block();
            }
            result = second && other > 1 ? p.memory[other] : 0;
            break;
        }
        case UPDATED:
            gr::atomic_add(p.memory, 1);
            result = own == 100 && !p.mended ? p.memory[0] : gr::atomic_add(p.memory, 0);
            break;
        case BYTE_RACE:
            bytes[p.mended ? own : own / 2] = 1;
            break;
        case COPY_RACE:
            if (t < 16) {
                gr::copy_async16(fixed + 4 * t, p.memory + 4 * t);
                gr::commit_copies();
                gr::wait_copies<0>();
            }
            p.mended ? gr::sync_block() : gr::sync_warp();
            result = fixed[63 - t];
            break;
        case OUTSIDE:
            p.memory[own + (p.mended ? 0 : 1)] = t;
            break;
        case BEFORE:
            result = p.memory[own - (p.mended ? 0 : 1)];
            break;
        case FREED:
            result = p.memory[own];
            break;
        case STATIC_OUTSIDE:
            fixed[t + (p.mended ? 0 : 1)] = t;
            break;
        case DYNAMIC_OUTSIDE:
            dynamic[t + (p.mended ? 0 : 1)] = nullptr;
            break;
        case STACK: {
            int local[2] = {t, t};
            dynamic[t] = local;
            gr::sync_block();
            result = dynamic[p.mended ? t : 63 - t][own % 2];
            gr::sync_block();
            break;
        }
        case PARAMETERS:
            *(p.mended ? p.results + own : const_cast<int*>(&p.fault)) = 1;
            break;
        case MISALIGNED:
            result = static_cast<int>(reinterpret_cast<const uint2*>(bytes + (p.mended ? 0 : 4))->y);
            break;
        case UNWRITTEN_SHARED:
            if (p.mended) {
                fixed[t] = t;
            }
            result = fixed[t];
            break;
        case UNWRITTEN_BYTE: {
            uint8_t* of_word = reinterpret_cast<uint8_t*>(fixed + t);
            of_word[0] = 1;
            result = of_word[p.mended ? 0 : 2];
            break;
        }
        case UNWRITTEN:
            result = p.memory[own];
            break;
    }
}

namespace {

constexpr int NUMBERS = 128;

std::string outcome(int fault, bool mended) {
    return failure_of([=] {
        int* const memory = static_cast<int*>(aligned_alloc(256, 1024));
        memset(memory, 0xFF, 1024);
        detect::add(memory, NUMBERS * sizeof(int), detect::Memory::DEVICE, "device memory");
        if (fault == FREED && !mended) {
            detect::remove(memory);
        } else if (fault != UNWRITTEN || mended) {
            detect::written(memory, NUMBERS * sizeof(int));
        }
        std::vector<int> results(NUMBERS);
        launch("gr_test_fault", 2, 1, 64, 64 * sizeof(int*), FaultParams{fault, mended, memory, results.data()});
    });
}

void faults_are_found() {
    const struct {
        Fault fault;
        const char* said;
    } faults[] = {
        {BLOCK_RACE, "with no barrier between: a race"},
        {WARP_RACE, "with no barrier between: a race"},
        {READ_BEFORE_WRITE, "with no barrier between: a race"},
        {GRID_RACE, " of block "},
        {READ_BY_MANY, "with no barrier between: a race"},
        {HANDED_ON, "with no barrier between: a race"},
        {HANDED_TO_ONE, "with no barrier between: a race"},
        {UPDATED, "update"},
        {BYTE_RACE, "writes 1 bytes at "},
        {COPY_RACE, "with no barrier between: a race"},
        {OUTSIDE, "device memory of 512 bytes + 512"},
        {BEFORE, "which is not within an allocation"},
        {FREED, "which is not within an allocation"},
        {STATIC_OUTSIDE, "fixed of 256 bytes + 256"},
        {DYNAMIC_OUTSIDE, "(dynamic) of 512 bytes + 512"},
        {STACK, "which is on the stack of thread "},
        {PARAMETERS, "which is a parameter"},
        {MISALIGNED, "which is not a multiple of 8: misaligned"},
        {UNWRITTEN_SHARED, "fixed of 256 bytes + "},
        {UNWRITTEN_BYTE, "which nobody has written"},
        {UNWRITTEN, "which nobody has written"},
    };
    for (const auto& planted : faults) {
        const std::string text = outcome(planted.fault, false), mended = outcome(planted.fault, true);
        GR_CHECK(text.find("kernel gr_test_fault, block (") != std::string::npos &&
                     text.find(planted.said) != std::string::npos,
                 "fault %d: %s", planted.fault, text.c_str());
        GR_CHECK(mended.empty(), "fault %d, mended: %s", planted.fault, mended.c_str());
    }
}

}  // namespace

int main() {
    faults_are_found();
    return 0;
}
