#include "order.h"

#include <stdlib.h>

#include <atomic>
#include <numeric>

namespace gr::emulator {

namespace {

uint64_t from_environment() {
    const char* text = getenv("GROUPREDUCE_EMULATED_SEED");
    const uint64_t seed = text == nullptr ? 0 : strtoull(text, nullptr, 10);
    return seed == 0 ? 1 : seed;
}

uint64_t started_from = from_environment();
std::atomic<uint64_t> state{started_from};

}  // namespace

uint64_t roll(uint64_t bound) {  // SplitMix64
    uint64_t z = state += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return (z ^ (z >> 31)) % bound;
}

uint64_t seed() { return started_from; }

void set_seed(uint64_t seed) {
    started_from = seed == 0 ? from_environment() : seed;
    state = started_from;
}

Shuffled::Shuffled(uint64_t count) : count(count), start(roll(count)), step(1 + roll(count)) {
    while (std::gcd(step, count) != 1) {
        step++;
    }
}

}  // namespace gr::emulator
