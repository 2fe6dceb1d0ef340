package io.groupreduce.internal.packed;

import java.util.Arrays;

/**
 * Range asymmetric numeral systems (Duda 2013, arXiv 1311.2540) with static frequencies: a symbol of frequency f of {@link #TOTAL} takes
 * {@code log2(TOTAL / f)} bits. The state has 32 bits, moves bytes, and lies in {@code [2^23, 2^31)} between symbols. What the encoder took
 * last the decoder would read first, so it keeps all symbols of a block and codes them from the last to the first.
 */
final class Rans {
    /** Frequencies of the symbols of a table add up to 2^14: with 2^12 files are up to 0.5 % larger, since no symbol may have none. */
    static final int PRECISION = 14;

    static final int TOTAL = 1 << PRECISION;

    /** The least state between symbols. */
    private static final int LEAST = 1 << 23;

    /** Bytes that a block takes beside its symbols. */
    static final int STATE_BYTES = Integer.BYTES;

    private Rans() {}

    /** Collects the symbols of a block. */
    static final class Encoder {
        /** {@code start << 16 | frequency} of every symbol. */
        private int[] symbols = new int[1 << 12];

        private int count;

        /** Adds a symbol that takes {@code frequency}, 1 to TOTAL, of the range from {@code start} on. */
        void put(int start, int frequency) {
            if (count == symbols.length) {
                symbols = Arrays.copyOf(symbols, 2 * count);
            }
            symbols[count++] = start << 16 | frequency;
        }

        /** Adds {@code bits} bits, 1 to {@link #PRECISION}, each as likely. */
        void putBits(int value, int bits) {
            put(value << PRECISION - bits, 1 << PRECISION - bits);
        }

        /** The block: its state, little-endian, and the bytes that the decoder takes up one after the other. Begins a new one. */
        byte[] finish() {
            byte[] bytes = new byte[STATE_BYTES + count * 2 + 8];
            int at = bytes.length;
            int state = LEAST;
            for (int s = count - 1; s >= 0; s--) {
                int frequency = symbols[s] & 0xffff;
                long most = (long) (LEAST >>> PRECISION << 8) * frequency;
                while (state >= most) {
                    bytes[--at] = (byte) state;
                    state >>>= 8;
                }
                state = (state / frequency << PRECISION) + state % frequency + (symbols[s] >>> 16);
            }
            count = 0;
            for (int b = STATE_BYTES - 1; b >= 0; b--) {
                bytes[--at] = (byte) (state >>> 8 * b);
            }
            return Arrays.copyOfRange(bytes, at, bytes.length);
        }
    }

    /** Reads the symbols of a block in the order in which they were put. Beyond its end it reads zeros: callers ask {@link #isDone}. */
    static final class Decoder {
        private final byte[] bytes;
        private int at;
        private int state;

        /** {@code block} has {@link #STATE_BYTES} at least. */
        Decoder(byte[] block) {
            bytes = block;
            for (int b = 0; b < STATE_BYTES; b++) {
                state |= next() << 8 * b;
            }
            if (state < LEAST) {
                throw new IllegalArgumentException(
                        "a packed block begins with the state " + Integer.toUnsignedString(state));
            }
        }

        private int next() {
            return at < bytes.length ? bytes[at++] & 0xff : zeroBeyond();
        }

        private int zeroBeyond() {
            at = bytes.length + 1;
            return 0;
        }

        /** Where in the range the next symbol lies, 0 to TOTAL - 1. */
        int slot() {
            return state & TOTAL - 1;
        }

        /** Takes the next symbol, of which {@link #slot} told which it is. */
        void take(int start, int frequency) {
            state = frequency * (state >>> PRECISION) + slot() - start;
            while (state < LEAST && at <= bytes.length) {
                state = state << 8 | next();
            }
        }

        int takeBits(int bits) {
            int value = slot() >>> PRECISION - bits;
            take(value << PRECISION - bits, 1 << PRECISION - bits);
            return value;
        }

        /** Whether the block ended where its encoder began. */
        boolean isDone() {
            return at == bytes.length && state == LEAST;
        }
    }
}
