// Every access is judged by what is known of the bytes: by whom and when they were written last, and by whom they were
// read or atomically updated since. Time is counted in meetings: all lanes of a warp come to one, all threads of a
// block to its barrier, all blocks of a grid to its end. So one number a warp tells whether two accesses of a warp have
// a meeting between them, and the number of its last barrier the same of a block; nothing is lost and nothing guessed.
#include "detect.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <map>
#include <string>

#include "emulator.h"

namespace gr::emulator::detect {

namespace {

const char* const VERBS[] = {"reads", "writes", "updates"};

// Who, in which block, how, after how many meetings: 10 bits of the thread, 2 of the scope, 1 whether it was an atomic
// update, 19 of the block, 32 of the time.
using Stamp = uint64_t;

// Whether the stamp stands for its thread or for several that had no meeting between them.
enum Scope { THREAD, WARP_OF_IT, BLOCK_OF_IT, GRID };

constexpr Stamp NEVER = 0;
constexpr Stamp ELSEWHERE = 1;       // before all launches
constexpr Stamp SPLIT = ~Stamp{0};  // of a word: its bytes have cells of their own
constexpr int SCOPE = 10;
constexpr Stamp UPDATE = 1 << 12;
constexpr int BLOCK = 13;
constexpr Stamp BLOCKS = (1 << 19) - 1;
constexpr int TIME = 32;

int thread_of(Stamp stamp) { return static_cast<int>(stamp & (MAX_THREADS - 1)); }
Scope scope_of(Stamp stamp) { return static_cast<Scope>(stamp >> SCOPE & 3); }
Stamp block_of(Stamp stamp) { return stamp >> BLOCK & BLOCKS; }

uint32_t now;  // meetings so far

// The last write, and the reads or the updates since.
struct Cell {
    Stamp write, use;
};

// Cells come to be when they are looked at; those of bytes where a word is not accessed as a whole.
struct Range {
    size_t bytes;
    Memory memory;
    const char* name;
    Cell* of_words;
    Cell* of_bytes;

    // Hands on the cells of so many bytes from an offset on, with their offsets.
    template <class Visit>
    void visit(size_t offset, size_t count, bool writes, Visit visit) {
        of_words = of_words == nullptr ? made(bytes / 4 + 1) : of_words;
        for (size_t from = offset, to; from < offset + count; from = to) {
            Cell& word = of_words[from / 4];
            to = std::min(offset + count, from / 4 * 4 + 4);
            if (to - from == 4 && word.write != SPLIT) {
                visit(word, from);
                continue;
            }
            of_bytes = of_bytes == nullptr ? made(bytes / 4 * 4 + 4) : of_bytes;
            Cell* const of_word = of_bytes + from / 4 * 4;
            if (word.write != SPLIT) {
                std::fill(of_word, of_word + 4, word);
                word.write = SPLIT;
            }
            for (size_t i = from; i < to; i++) {
                visit(of_bytes[i], i);
            }
            if (to - from == 4 && writes) {
                word = of_word[0];
            }
        }
    }

    static Cell* made(size_t count) { return static_cast<Cell*>(calloc(count, sizeof(Cell))); }
};

// By an atomic update that releases, a thread hands on what its block did before its last barrier, what its warp did
// before its last meeting, and what it did itself.
struct Release {
    uint32_t barrier, warp, time;
    int thread;
};

using Releases = std::map<Stamp, Release>;  // by block

// The times of the last barrier of a block and of the last meetings of its warps, and what it knows of other blocks:
// one thread from its own atomic accesses on, all from the next barrier on.
struct Block {
    uint32_t barrier, warps[MAX_THREADS / WARP];
    uint32_t everyone = 0;  // when all other blocks were heard of anew, as after a barrier of the grid
    Releases seen, acquired;
    unsigned acquirer = 0;

    Block() { start(++now); }

    // What comes next is after a barrier.
    void start(uint32_t time) {
        barrier = time;
        std::fill(std::begin(warps), std::end(warps), time);
    }
};

using Ranges = std::map<uintptr_t, Range>;

bool busy;        // with what is below, whose own memory is not watched
bool watched;     // some kernel has hooks
bool launched;    // and one is running
uint32_t launch;  // the time when the launch began
uintptr_t parameters;
size_t parameter_bytes;
std::map<Stamp, Block> blocks;
std::map<const volatile void*, Releases> words;  // what can be acquired where
Stamp own_number;
Block* own;

// Made when it is needed first, which is before the static objects of this file are made.
Ranges& ranges() {
    static Ranges* const made = new Ranges;
    return *made;
}

// Where things were found lately.
constexpr int REMEMBERED = 256;
Ranges::value_type* remembered[REMEMBERED];

Ranges::value_type* find(uintptr_t at, size_t bytes) {
    const auto holds = [&](const Ranges::value_type& range) {
        const size_t offset = at - range.first;
        return offset < range.second.bytes && bytes <= range.second.bytes - offset;
    };
    Ranges::value_type*& found = remembered[at / 64 % REMEMBERED];
    if (found != nullptr && holds(*found)) {
        return found;
    }
    auto next = ranges().upper_bound(at);
    if (next == ranges().begin() || !holds(*--next)) {
        return nullptr;
    }
    return found = &*next;
}

void look_at_block() {
    const Stamp number = (static_cast<Stamp>(blockIdx.y) * gridDim.x + blockIdx.x) & BLOCKS;
    if (own == nullptr || number != own_number) {
        own = &blocks[number];
        own_number = number;
    }
}

bool released(const Releases& releases, Stamp before) {
    const auto found = releases.find(block_of(before));
    if (found == releases.end()) {
        return false;
    }
    const Release& release = found->second;
    const uint32_t time = static_cast<uint32_t>(before >> TIME);
    const bool of_warp = scope_of(before) < BLOCK_OF_IT && thread_of(before) / WARP == release.thread / WARP;
    const bool of_thread = scope_of(before) == THREAD && thread_of(before) == release.thread;
    return time < release.barrier || (of_warp && time < release.warp) || (of_thread && time == release.warp);
}

void join(Releases& releases, const Releases& others) {
    for (const auto& other : others) {
        Release& own_of_it = releases[other.first];
        own_of_it = own_of_it.time < other.second.time ? other.second : own_of_it;
    }
}

// Whether all that the stamp stands for happened before what the running thread does, or was its own doing.
bool ordered(Stamp before) {
    const uint32_t time = static_cast<uint32_t>(before >> TIME);
    const int thread = static_cast<int>(threadIdx.x), warp = thread / WARP;
    if (time < launch) {
        return true;
    }
    if (scope_of(before) == GRID) {
        return time < own->everyone;
    }
    if (block_of(before) != own_number) {
        return released(own->seen, before) || (threadIdx.x == own->acquirer && released(own->acquired, before));
    }
    if (time < own->barrier) {
        return true;
    }
    if (scope_of(before) == BLOCK_OF_IT || thread_of(before) / WARP != warp) {
        return false;
    }
    return time < own->warps[warp] || (scope_of(before) == THREAD && thread_of(before) == thread);
}

// The stamp for what both stand for, which have no meeting between them.
Stamp joined(Stamp before, Stamp with) {
    const Scope least = block_of(before) != block_of(with)                         ? GRID
                        : thread_of(before) / WARP != thread_of(with) / WARP ? BLOCK_OF_IT
                                                                                   : WARP_OF_IT;
    const Stamp latest = std::max(before >> TIME, with >> TIME) << TIME;
    return (with & ((Stamp{1} << TIME) - 1)) | latest | static_cast<Stamp>(std::max(scope_of(before), least)) << SCOPE;
}

// What the running thread does, and where.
struct Event {
    Access access;
    uintptr_t at;
    size_t bytes;
    void* instruction;

    [[noreturn]] void fault(const std::string& what) const {
        char text[200];
        auto next = ranges().upper_bound(at);
        const bool known = next != ranges().begin() && (--next, at - next->first <= next->second.bytes);
        snprintf(text, sizeof text, "thread %u %s %zu bytes at 0x%zx", threadIdx.x, VERBS[access], bytes, at);
        std::string said = text;
        if (known) {
            snprintf(text, sizeof text, ", %s of %zu bytes + %zu", next->second.name, next->second.bytes,
                     at - next->first);
            said += text;
        }
        fail((said + line_of(instruction) + ", " + what).c_str());
    }

    [[noreturn]] void race(Stamp with, const char* did) const {
        const std::string thread = "thread " + std::to_string(thread_of(with));
        const char* const others[] = {"", " and others of its warp", " and others of its block", " and other blocks"};
        const std::string block = block_of(with) == own_number ? "" : " of block " + std::to_string(block_of(with));
        did = (with & UPDATE) != 0 ? " updated" : did;
        fault("which " + thread + block + others[scope_of(with)] + did + " with no barrier between: a race");
    }

    void judge(Cell& cell, const Range& range, uintptr_t from, Stamp stamp) const {
        if (!ordered(cell.write) && !(access == ATOMIC && (cell.write & UPDATE) != 0)) {
            race(cell.write, " wrote");
        }
        const bool updates = (cell.use & UPDATE) != 0, after = ordered(cell.use);
        if (!after && (access == WRITE || updates != (access == ATOMIC))) {
            race(cell.use, " read");
        }
        if (access == WRITE) {
            cell = {stamp, NEVER};
            return;
        }
        if (cell.write == NEVER && !updates && range.memory == Memory::DEVICE) {
            // What hooks did not see (a library) may have written it; half of a number may be all ones.
            const uintptr_t start = at + (from - at) / 8 * 8;
            const auto first = reinterpret_cast<const unsigned char*>(start);
            if (std::all_of(first, first + std::min<size_t>(8, at + bytes - start), [](int b) { return b == 0xFF; })) {
                fault("which nobody has written");
            }
        }
        const Stamp used = stamp | (access == ATOMIC ? UPDATE : 0);
        if (after && updates && access == READ) {
            cell.write = cell.use;
        }
        cell.use = after ? used : joined(cell.use, used);
    }

    void happen() const {
        if (at - parameters < parameter_bytes) {
            return access == READ ? void() : fault("which is a parameter");
        }
        const int owner = stack_owner(reinterpret_cast<const void*>(at));
        if (owner >= 0) {
            if (owner != static_cast<int>(threadIdx.x)) {
                fault("which is on the stack of thread " + std::to_string(owner));
            }
            return;
        }
        const auto found = find(at, bytes);
        if (found == nullptr) {
            fault("which is not within an allocation");
        }
        Range& range = found->second;
        if (range.memory == Memory::READ_ONLY) {
            return access == READ ? void() : fault("which is read-only");
        }
        look_at_block();
        const Stamp stamp =
            static_cast<Stamp>(own->warps[threadIdx.x / WARP]) << TIME | own_number << BLOCK | threadIdx.x;
        range.visit(at - found->first, bytes, access == WRITE, [&](Cell& cell, size_t offset) {
            judge(cell, range, found->first + offset, stamp);
        });
    }
};

}  // namespace

void add(void* start, size_t bytes, Memory memory, const char* name) {
    if (!busy) {
        busy = true;
        ranges()[reinterpret_cast<uintptr_t>(start)] = {bytes, memory, name, nullptr, nullptr};
        busy = false;
    }
}

void remove(const void* start) {
    if (busy) {
        return;
    }
    busy = true;
    const auto range = ranges().find(reinterpret_cast<uintptr_t>(start));
    if (range != ranges().end()) {
        free(range->second.of_words);
        free(range->second.of_bytes);
        std::fill(std::begin(remembered), std::end(remembered), nullptr);
        ranges().erase(range);
    }
    busy = false;
}

void written(const void* start, size_t bytes) {
    const auto found = watched ? find(reinterpret_cast<uintptr_t>(start), bytes) : nullptr;
    if (found == nullptr || found->second.memory != Memory::DEVICE) {
        return;
    }
    found->second.visit(reinterpret_cast<uintptr_t>(start) - found->first, bytes, true,
                        [](Cell& cell, size_t) { cell = {ELSEWHERE, NEVER}; });
}

Launch::Launch(const void* params, size_t bytes) {
    if (!watched) {
        return;
    }
    for (Index* index : {&threadIdx, &blockIdx, &blockDim, &gridDim}) {
        add(index, sizeof(Index), Memory::READ_ONLY, "an index");
    }
    parameters = reinterpret_cast<uintptr_t>(params);
    parameter_bytes = bytes;
    blocks.clear();
    words.clear();
    own = nullptr;
    launch = ++now;
    launched = true;
}

Launch::~Launch() { launched = false; }

void block_barrier() {
    if (launched) {
        look_at_block();
        own->start(++now);
        join(own->seen, own->acquired);
        own->acquired.clear();
        const auto anew = [](const Releases::value_type& r) { return r.second.time > own->everyone; };
        const size_t others = std::count_if(own->seen.begin(), own->seen.end(), anew) - own->seen.count(own_number);
        own->everyone = others > 0 && others + 1 == gridDim.x * gridDim.y ? now : own->everyone;
    }
}

void warp_meeting() {
    if (launched) {
        look_at_block();
        own->warps[threadIdx.x / WARP] = ++now;
    }
}

void synchronize(const volatile void* word, bool acquires, bool releases) {
    if (!launched) {
        return;
    }
    look_at_block();
    if (acquires) {
        join(own->acquired, words[word]);
        own->acquirer = threadIdx.x;
    }
    if (releases) {
        join(words[word], own->seen);
        join(words[word], own->acquirer == threadIdx.x ? own->acquired : Releases());
        words[word][own_number] = {own->barrier, own->warps[threadIdx.x / WARP], ++now, static_cast<int>(threadIdx.x)};
    }
}

void watch() { watched = true; }

void access(Access access, const volatile void* at, size_t bytes, void* instruction) {
    if (launched) {
        Event{access, reinterpret_cast<uintptr_t>(at), bytes, instruction}.happen();
    }
}

void misaligned(uintptr_t at, size_t bytes, const char* file, unsigned line) {
    if (launched) {
        const char* const name = strrchr(file, '/');
        char text[200];
        snprintf(text, sizeof text, "thread %u uses 0x%zx (%s:%u), which is not a multiple of %zu: misaligned", threadIdx.x,
                 at, name == nullptr ? file : name + 1, line, bytes);
        fail(text);
    }
}

}  // namespace gr::emulator::detect
