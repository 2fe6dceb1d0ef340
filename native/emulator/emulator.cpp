#include "emulator.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <algorithm>
#include <mutex>
#include <vector>

#include "detect.h"
#include "fiber.h"
#include "order.h"
#include "shared_memory.h"

namespace gr::emulator {

Index threadIdx, blockIdx, blockDim, gridDim;
size_t shared_limit = MAX_SHARED;

namespace {

constexpr int MAX_WARPS = MAX_THREADS / WARP;
constexpr size_t STACK = 64 * 1024;
constexpr size_t STRIDE = STACK + 5 * 64;  // so that the tops of the stacks do not share the same cache sets
// Bytes at the end of a stack, where it overflows first.
constexpr int CANARY = 64;
constexpr int CANARY_BYTE = 0x5A;

enum Meeting { NONE, BARRIER, WARP_BARRIER, EXCHANGE, BALLOT, MMA_BF16, MMA_F16, MMA_BYTES, MMA_HALF };

const char* const NAMES[] = {"nothing",  "the block's barrier", "a warp barrier", "a shuffle",
                             "a ballot", "an mma of bf16",      "an mma of f16",  "an mma of bytes",
                             "a half mma of bytes"};

// What the lanes bring to two meetings in a row: a lane may reach the next one before another has taken its result of
// this one, but no meeting ends before all have come to it.
struct Exchange {
    uint64_t values[WARP];
    unsigned ballot;
    unsigned a[WARP][4], b[WARP][2];
    float d[WARP][4];
    int sums[WARP][4];
};

// An asynchronous copy that is still to come, and how many groups its thread had committed before.
struct Copy {
    void* to;
    const void* from;
    int group;
};

struct Copies {
    std::vector<Copy> pending;
    int committed;
};

struct Warp {
    unsigned live;     // lanes that have not returned
    unsigned arrived;  // of them, at the meeting
    Meeting meeting;
    bool blocked;  // all live lanes are at the block's barrier
    unsigned parity;
    Exchange exchange[2];
};

struct State {
    const Kernel* kernel;
    const void* params;
    int threads, warps;
    int thread;  // the running one
    int live_warps, blocked_warps;
    int step;  // 1 or -1: the order in which threads are taken
    bool failed;
    unsigned launches;
    char* stacks;
    Fiber main;
    Fiber fibers[MAX_THREADS];
    Warp warp[MAX_WARPS];
    Copies copies[MAX_THREADS];
    SharedMemory shared;
};

State state;
char canary[CANARY];

char* stack_of(int thread) { return state.stacks + static_cast<size_t>(thread) * STRIDE; }

[[gnu::format(printf, 1, 2)]] void report(const char* format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "emulation: kernel %s, block (%u, %u): %s (GROUPREDUCE_EMULATED_SEED=%llu)\n", state.kernel->name,
            blockIdx.x, blockIdx.y, text, static_cast<unsigned long long>(seed()));
    state.failed = true;
}

// Ends the launch from within a fiber: the stacks of all its threads are dropped.
[[noreturn]] void leave() {
    switch_fiber(state.fibers[state.thread], state.main);
    abort();
}

// Lane after `from` in the order of the block, among `candidates`, which are not empty.
int next_lane(unsigned candidates, int from) {
    int lane = from;
    do {
        lane = (lane + state.step) & (WARP - 1);
    } while ((candidates >> lane & 1u) == 0);
    return lane;
}

int next_thread() {
    const int current = state.thread / WARP;
    const Warp& own = state.warp[current];
    if (!own.blocked && own.live != 0) {
        return current * WARP + next_lane(own.live & ~own.arrived, state.thread % WARP);
    }
    int w = current;
    for (int i = 0; i < state.warps; i++) {
        w = w + state.step == state.warps ? 0 : w + state.step < 0 ? state.warps - 1 : w + state.step;
        const Warp& warp = state.warp[w];
        if (!warp.blocked && warp.live != 0) {
            return w * WARP + next_lane(warp.live & ~warp.arrived, state.step > 0 ? WARP - 1 : 0);
        }
    }
    report("no thread can go on");
    leave();
}

void go_on_elsewhere() {
    const int from = state.thread;
    const int to = next_thread();
    if (to == from) {
        return;
    }
    state.thread = to;
    threadIdx.x = static_cast<unsigned>(to);
    switch_fiber(state.fibers[from], state.fibers[to]);
}

// All of a warp is at the block's barrier; opens it when all other warps are.
void warp_at_barrier(Warp& warp) {
    warp.blocked = true;
    state.blocked_warps++;
}

bool open_barrier() {
    if (state.live_warps == 0 || state.blocked_warps < state.live_warps) {
        return false;
    }
    for (int w = 0; w < state.warps; w++) {
        state.warp[w].blocked = false;
        state.warp[w].arrived = 0;
        state.warp[w].meeting = NONE;
    }
    state.blocked_warps = 0;
    detect::block_barrier();
    return true;
}

// The running lane comes to a meeting.
Warp& arrive(Meeting meeting) {
    const int lane = state.thread % WARP;
    Warp& warp = state.warp[state.thread / WARP];
    if (warp.arrived != 0 && warp.meeting != meeting) {
        report("divergence: thread %d came to %s while thread %d of its warp waits at %s", state.thread, NAMES[meeting],
               state.thread - lane + __builtin_ctz(warp.arrived), NAMES[warp.meeting]);
        leave();
    }
    if (meeting != BARRIER && warp.live != 0xffffffffu) {
        report("divergence: thread %d came to %s, which thread %d, no longer running, can never reach", state.thread,
               NAMES[meeting], state.thread - lane + __builtin_ctz(~warp.live));
        leave();
    }
    warp.meeting = meeting;
    warp.arrived |= 1u << lane;
    return warp;
}

// After arrive: true for the lane that completes the meeting.
bool last(const Warp& warp) { return warp.arrived == warp.live; }

// The running lane comes to a meeting of its warp and brings something; the last one also does the common work. All
// find what came of it.
template <class Bring, class Work>
const Exchange& meet(Meeting meeting, Bring bring, Work work) {
    Warp& warp = arrive(meeting);
    Exchange& exchange = warp.exchange[warp.parity];
    bring(exchange, state.thread % WARP);
    if (last(warp)) {
        work(exchange);
        detect::warp_meeting();
        warp.arrived = 0;
        warp.meeting = NONE;
        warp.parity ^= 1;
    } else {
        go_on_elsewhere();
    }
    return exchange;
}

void thread_main() {
    state.kernel->function(state.params);
    const int lane = state.thread % WARP;
    Warp& warp = state.warp[state.thread / WARP];
    warp.live &= ~(1u << lane);
    if (warp.arrived != 0 && warp.meeting != BARRIER) {
        report("divergence: thread %d returned while thread %d of its warp waits at %s", state.thread,
               state.thread - lane + __builtin_ctz(warp.arrived), NAMES[warp.meeting]);
        leave();
    }
    if (warp.live == 0) {
        state.live_warps--;
    } else if (last(warp)) {
        warp_at_barrier(warp);
    }
    if (state.live_warps == 0) {
        leave();
    }
    open_barrier();
    go_on_elsewhere();
    abort();  // nobody switches to a thread that has returned
}

void run_block() {
    const int full = state.threads / WARP;
    for (int w = 0; w < state.warps; w++) {
        Warp& warp = state.warp[w];
        warp.live = w < full ? 0xffffffffu : (1u << state.threads % WARP) - 1;
        warp.arrived = 0;
        warp.meeting = NONE;
        warp.blocked = false;
    }
    state.live_warps = state.warps;
    state.blocked_warps = 0;
    for (int t = 0; t < state.threads; t++) {
        prepare_fiber(state.fibers[t], stack_of(t), STACK, thread_main);
        state.copies[t].pending.clear();
        state.copies[t].committed = 0;
    }
    state.step = (blockIdx.x + blockIdx.y + state.launches) % 2 == 0 ? 1 : -1;
    state.thread = state.step > 0 ? 0 : state.threads - 1;
    threadIdx = {static_cast<unsigned>(state.thread), 0, 0};
    switch_fiber(state.main, state.fibers[state.thread]);
    for (int t = 0; t < state.threads; t++) {
        if (memcmp(stack_of(t), canary, CANARY) != 0) {
            report("the stack of thread %d overflowed its %zu bytes", t, STACK);
            memcpy(stack_of(t), canary, CANARY);
        }
    }
    const char* overrun = state.shared.overrun();
    if (overrun != nullptr) {
        report("a write beyond the end of shared memory %s", overrun);
    }
}

void make_stacks() {
    const size_t bytes = STRIDE * MAX_THREADS;
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        fprintf(stderr, "emulation: no memory for the stacks of %d threads\n", MAX_THREADS);
        abort();
    }
    state.stacks = static_cast<char*>(memory);
    memset(canary, CANARY_BYTE, CANARY);
    for (int t = 0; t < MAX_THREADS; t++) {
        memcpy(stack_of(t), canary, CANARY);
    }
}

std::mutex running;  // one launch at a time in the process

}  // namespace

bool run(const Kernel& kernel, unsigned grid_x, unsigned grid_y, int block, size_t shared, const void* params) {
    const std::lock_guard<std::mutex> lock(running);
    if (state.stacks == nullptr) {
        make_stacks();
    }
    state.kernel = &kernel;
    state.params = params;
    state.threads = block;
    state.warps = (block + WARP - 1) / WARP;
    state.failed = false;
    state.launches++;
    gridDim = {grid_x, grid_y, 1};
    blockDim = {static_cast<unsigned>(block), 1, 1};
    const detect::Launch watched(params, kernel.params);
    const uint64_t blocks = static_cast<uint64_t>(grid_x) * grid_y;
    const Shuffled order(blocks);
    for (uint64_t i = 0; i < blocks && !state.failed; i++) {
        blockIdx = {static_cast<unsigned>(order[i] % grid_x), static_cast<unsigned>(order[i] / grid_x), 0};
        state.shared.start(shared);
        run_block();
    }
    return !state.failed;
}

void launch(const char* name, unsigned grid_x, unsigned grid_y, int block, size_t shared, const void* params,
            size_t bytes) {
    const Kernel* kernel = Kernel::find(name);
    const char* wrong = kernel == nullptr                                      ? "is not registered"
                        : kernel->params != bytes                              ? "takes parameters of another size"
                        : block < 1 || block > kernel->max_threads             ? "does not take so many threads"
                        : shared > MAX_SHARED                                  ? "does not get so much shared memory"
                        : grid_x < 1 || grid_y < 1                             ? "needs a block"
                        : !run(*kernel, grid_x, grid_y, block, shared, params) ? "failed"
                                                                               : nullptr;
    if (wrong != nullptr) {
        fprintf(stderr, "emulation: kernel %s %s\n", name, wrong);
        abort();
    }
}

void block_barrier() {
    Warp& warp = arrive(BARRIER);
    if (!last(warp)) {
        go_on_elsewhere();
        return;
    }
    warp_at_barrier(warp);
    if (!open_barrier()) {
        go_on_elsewhere();
    }
}

void warp_barrier() {
    meet(WARP_BARRIER, [](Exchange&, int) {}, [](Exchange&) {});
}

uint64_t warp_exchange(uint64_t value, int source) {
    const auto bring = [value](Exchange& exchange, int lane) { exchange.values[lane] = value; };
    return meet(EXCHANGE, bring, [](Exchange&) {}).values[source];
}

unsigned warp_ballot(bool predicate) {
    const auto bring = [predicate](Exchange& exchange, int lane) { exchange.values[lane] = predicate; };
    const auto count = [](Exchange& exchange) {
        exchange.ballot = 0;
        for (int lane = 0; lane < WARP; lane++) {
            exchange.ballot |= static_cast<unsigned>(exchange.values[lane]) << lane;
        }
    };
    return meet(BALLOT, bring, count).ballot;
}

void warp_mma(Pairs pairs, float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    const auto bring = [&](Exchange& exchange, int lane) {
        memcpy(exchange.a[lane], a, sizeof a);
        memcpy(exchange.d[lane], d, sizeof d);
        exchange.b[lane][0] = b0;
        exchange.b[lane][1] = b1;
    };
    const auto work = [pairs](Exchange& exchange) { multiply(pairs, exchange.d, exchange.a, exchange.b); };
    const int lane = state.thread % WARP;
    memcpy(d, meet(pairs == Pairs::F16 ? MMA_F16 : MMA_BF16, bring, work).d[lane], sizeof d);
}

void warp_mma_bytes(int inner, int (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    const auto bring = [&](Exchange& exchange, int lane) {
        memcpy(exchange.a[lane], a, sizeof a);
        memcpy(exchange.sums[lane], d, sizeof d);
        exchange.b[lane][0] = b0;
        exchange.b[lane][1] = b1;
    };
    const auto work = [inner](Exchange& exchange) { multiply_bytes(inner, exchange.sums, exchange.a, exchange.b); };
    const int lane = state.thread % WARP;
    memcpy(d, meet(inner == 32 ? MMA_BYTES : MMA_HALF, bring, work).sums[lane], sizeof d);
}

void copy_later(void* to, const void* from) {
    Copies& copies = state.copies[state.thread];
    detect::access(detect::READ, from, 16);
    detect::access(detect::WRITE, to, 16);
    if (state.step < 0) {
        memcpy(to, from, 16);
    } else {
        copies.pending.push_back({to, from, copies.committed});
    }
}

void commit_copies() { state.copies[state.thread].committed++; }

void wait_copies(int groups) {
    Copies& copies = state.copies[state.thread];
    const auto wanted = [&](const Copy& copy) { return copy.group < copies.committed - groups; };
    for (const Copy& copy : copies.pending) {
        if (wanted(copy)) {
            detect::access(detect::WRITE, copy.to, 16);
            memcpy(copy.to, copy.from, 16);
        }
    }
    copies.pending.erase(std::remove_if(copies.pending.begin(), copies.pending.end(), wanted), copies.pending.end());
}

void* static_shared(const void* site, const char* name, size_t bytes) {
    void* memory = state.shared.array(site, name, bytes);
    if (memory == nullptr) {
        report("%s of thread %d exceeds %zu bytes of static shared memory, or %zu with the dynamic part", name,
               state.thread, MAX_STATIC_SHARED, shared_limit);
        leave();
    }
    return memory;
}

void* dynamic_shared() { return state.shared.dynamic(); }

int stack_owner(const void* address) {
    const size_t offset = static_cast<const char*>(address) - state.stacks;
    return offset < MAX_THREADS * STRIDE ? static_cast<int>(offset / STRIDE) : -1;
}

void fail(const char* reason) {
    report("%s", reason);
    leave();
}

void fail_alignment(const void* address, int bytes) {
    report("thread %d reads %d bytes at %p, which is not a multiple of that", state.thread, bytes, address);
    leave();
}

}  // namespace gr::emulator
