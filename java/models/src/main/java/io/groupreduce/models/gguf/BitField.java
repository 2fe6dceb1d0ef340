package io.groupreduce.models.gguf;

/**
 * Bits of small numbers that share bytes. Numbers {@code first .. first + count - 1} take {@code bits} bits each: the first {@code stride} of
 * them the lowest bits of as many bytes, the next {@code stride} the bits above those, until {@code shares} numbers share a byte; then the
 * next bytes follow.
 *
 * @param at the first byte
 * @param above how many bits of the number other fields hold below these
 * @param shift the lowest bit of each byte that is used
 */
record BitField(int first, int count, int at, int bits, int stride, int shares, int above, int shift) {
    /** Bits that fill whole bytes, of all of {@code count} numbers. */
    static BitField whole(int count, int at, int bits, int stride, int above) {
        return new BitField(0, count, at, bits, stride, Byte.SIZE / bits, above, 0);
    }

    /** Adds these bits to the numbers. */
    void read(byte[] block, int[] numbers) {
        int mask = (1 << bits) - 1;
        for (int j = 0; j < count; j += stride) {
            int from = at + j / (stride * shares) * stride;
            int low = shift + j / stride % shares * bits;
            for (int l = 0; l < stride; l++) {
                numbers[first + j + l] |= (block[from + l] >> low & mask) << above;
            }
        }
    }

    /** Sets these bits of a block that has zeros there. */
    void write(int[] numbers, byte[] block) {
        int mask = (1 << bits) - 1;
        for (int j = 0; j < count; j += stride) {
            int to = at + j / (stride * shares) * stride;
            int low = shift + j / stride % shares * bits;
            for (int l = 0; l < stride; l++) {
                block[to + l] |= (byte) ((numbers[first + j + l] >> above & mask) << low);
            }
        }
    }
}
