// The bytes of packed strips, by asynchronous copies through shared memory, and how many there are.
#pragma once

#include "softmax_operands.h"

namespace gr::softmax {

// Packed bytes on their way to a warp: what follows each other in memory, in the order in which it is taken.
class Ring {
public:
    GR_DEVICE explicit Ring(uint8_t* memory) : memory(memory) {}

    // From here on, so many bytes.
    GR_DEVICE void start(const uint8_t* from, int bytes) {
        sync_warp();  // all have taken what was there
        next = from + lane() * 16;
        left = bytes - lane() * 16;
        issued = taken = ahead = 0;
        issue();
        issue();
    }

    // Words of a block, as softmax.h lays them out.
    template <int Words>
    GR_DEVICE void take(unsigned (&word)[Words]) {
        await(Words * 128);
        int i = 0;
        GR_UNROLL
        for (; i + 4 <= Words; i += 4) {
            const uint4 four = *at<uint4>(i * 128);
            word[i] = four.x;
            word[i + 1] = four.y;
            word[i + 2] = four.z;
            word[i + 3] = four.w;
        }
        if (Words % 4 >= 2) {
            const uint2 two = *at<uint2>(i * 128);
            word[i % Words] = two.x;
            word[(i + 1) % Words] = two.y;
        }
        if (Words % 2 == 1) {
            word[Words - 1] = *at<unsigned>((Words - 1) * 128);
        }
        taken = (taken + Words * 128) & (PIECE * PIECES - 1);
    }

private:
    static constexpr int PIECE = 1024, PIECES = 4;

    uint8_t* memory;
    const uint8_t* next;  // of this lane
    int left;             // bytes from there on
    int issued, taken;    // places in the ring
    int ahead;            // bytes that have arrived and are not taken

    template <class T>
    GR_DEVICE const T* at(int offset) const {
        const int place = taken + offset + lane() * static_cast<int>(sizeof(T));
        return reinterpret_cast<const T*>(memory + (place & (PIECE * PIECES - 1)));
    }

    GR_DEVICE void issue() {
        uint8_t* to = memory + issued + lane() * 16;
        GR_UNROLL
        for (int i = 0; i < PIECE; i += 512) {
            if (i < left) {
                copy_async16(to + i, next + i);
            }
        }
        commit_copies();
        issued = (issued + PIECE) & (PIECE * PIECES - 1);
        next += PIECE;
        left -= PIECE;
    }

    // What is taken at a time begins in the last piece but one or later: the one before it is written again, once all
    // lanes are here.
    GR_DEVICE void await(int bytes) {
        ahead -= bytes;
        if (ahead < 0) {
            wait_copies<1>();
            sync_warp();
            issue();
            ahead += PIECE;
        }
    }
};

// Whole and half blocks first .. first + count - 1 of a strip.
GR_DEVICE GrRuns clip(const GrRuns& runs, int first, int count) {
    GrRuns clipped;
    int at = 0;
    GR_UNROLL
    for (int b = 7; b >= 0; b--) {
        const int blocks = b == 6 ? 0 : runs.blocks[b];
        clipped.blocks[b] = static_cast<uint16_t>(max(min(at + blocks, first + count) - max(at, first), 0));
        at += blocks;
    }
    clipped.blocks[6] = static_cast<uint16_t>(at >= first && at < first + count ? runs.blocks[6] : 0);
    return clipped;
}

// Bytes of such blocks.
GR_DEVICE int bytes_of(const GrRuns& runs) {
    int words = runs.blocks[6] / 2;
    GR_UNROLL
    for (int b = 0; b < 8; b++) {
        words += b == 6 ? 0 : (b + 1) * runs.blocks[b];
    }
    return words * 128;
}

// Bytes of blocks first .. first + count - 1 of any form.
GR_DEVICE int bytes_of(const GrPacked& matrix, int first, int count) {
    if (has_codes(matrix.form)) {
        return bytes_of(clip(matrix.runs, first, count));
    }
    const int slices = (matrix.form.width + 15) / 16;
    return max(min(2 * count, slices - 2 * first), 0) * 32 * matrix.form.bits * 2;
}

}  // namespace gr::softmax
