// Where softmax.h says that a bit of a packed code lies; written on its own, apart from the kernels.
#pragma once

namespace gr::test {

struct PackedBit {
    int word, bit;
};

// Bit n of the code of pair, upper and byte, in the words that a lane has of a block of so many bits.
inline PackedBit packed_bit(int bits, bool half, int pair, bool upper, int byte, int n) {
    const int at = 8 * byte, high = upper ? 4 : 0;
    const auto turned = [&](int word, int bit, int turn) { return PackedBit{word, (at + bit + turn) % 32}; };
    switch (bits) {
        case 8:
            return {half ? pair : 2 * pair + (upper ? 1 : 0), at + n};
        case 4:
            return half ? PackedBit{pair / 2, at + pair % 2 * 4 + n} : PackedBit{pair, at + high + n};
        case 3:
            return pair < 3 ? PackedBit{pair, at + high + n} : PackedBit{n, at + (upper ? 7 : 3)};
        case 2:
            return half ? PackedBit{0, at + 2 * pair + n} : PackedBit{pair / 2, at + pair % 2 * 2 + high + n};
        case 1:
            return {0, at + pair + high};
        case 6:
            return upper ? (n < 2 ? turned(4 + pair / 2, 2 + n, pair % 2 * 4) : PackedBit{pair, at + 4 + n - 2})
                         : (n < 4 ? PackedBit{pair, at + n} : turned(4 + pair / 2, n, pair % 2 * 4));
        default:
            return upper ? (n < 1 ? turned(4, 3, pair * 2) : PackedBit{pair, at + 4 + n - 1})
                         : (n < 4 ? PackedBit{pair, at + n} : turned(4, 4, pair * 2));
    }
}

// Where a lane's word lies in a block of so many words, in words: pieces of four, two and one a lane.
inline int packed_word(int words, int lane, int word) {
    for (int size = 4, first = 0; size > 0; size /= 2) {
        for (; first + size <= words; first += size) {
            if (word < first + size) {
                return first * 32 + lane * size + word - first;
            }
        }
    }
    return -1;
}

}  // namespace gr::test
