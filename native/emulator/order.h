// The dice that decide what no program may rely on: the order of a grid's blocks, and when and in which order queued
// work runs. GROUPREDUCE_EMULATED_SEED is their seed, 1 without it: a build that passed passes again, and whoever looks
// for more runs the tests with other seeds.
#pragma once

#include <stdint.h>

namespace gr::emulator {

// In [0, bound), bound at least 1.
uint64_t roll(uint64_t bound);

// What the dice started from.
uint64_t seed();

// Starts them anew; 0: from the environment's seed.
void set_seed(uint64_t seed);

// All numbers of [0, count) in a random order, each by its place.
class Shuffled {
public:
    explicit Shuffled(uint64_t count);

    uint64_t operator[](uint64_t place) const { return (place * step + start) % count; }

private:
    uint64_t count, start, step;
};

}  // namespace gr::emulator
