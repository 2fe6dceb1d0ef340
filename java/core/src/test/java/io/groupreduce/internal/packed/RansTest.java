package io.groupreduce.internal.packed;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Blocks of symbols come back in order, in the bits that their frequencies promise. */
class RansTest {
    private static final int SYMBOLS = 20_000;

    /** Draws a start and a frequency for every symbol, with the rarest and the surest among them. */
    private static int[][] symbols(long seed) {
        Random random = new Random(seed);
        int[][] symbols = new int[SYMBOLS][];
        for (int s = 0; s < SYMBOLS; s++) {
            int frequency =
                    switch (random.nextInt(5)) {
                        case 0 -> 1;
                        case 1 -> Rans.TOTAL - random.nextInt(3);
                        case 2 -> 1 << random.nextInt(Rans.PRECISION + 1);
                        default -> 1 + random.nextInt(Rans.TOTAL);
                    };
            symbols[s] = new int[] {random.nextInt(Rans.TOTAL - frequency + 1), frequency};
        }
        return symbols;
    }

    private static byte[] coded(Rans.Encoder encoder, int[][] symbols) {
        for (int[] symbol : symbols) {
            encoder.put(symbol[0], symbol[1]);
        }
        return encoder.finish();
    }

    /** Whether all symbols lie where the decoder looks. */
    private static boolean holds(Rans.Decoder decoder, int[][] symbols) {
        boolean all = true;
        for (int[] symbol : symbols) {
            all &= decoder.slot() >= symbol[0] && decoder.slot() < symbol[0] + symbol[1];
            decoder.take(symbol[0], symbol[1]);
        }
        return all;
    }

    @Test
    void symbolsComeBackInTheBitsOfTheirFrequencies() {
        Rans.Encoder encoder = new Rans.Encoder();
        for (long seed = 0; seed < 5; seed++) {
            int[][] symbols = symbols(seed);
            byte[] block = coded(encoder, symbols);
            Rans.Decoder decoder = new Rans.Decoder(block);
            assertTrue(holds(decoder, symbols));
            assertTrue(decoder.isDone());
            double bits = Arrays.stream(symbols)
                    .mapToDouble(s -> Rans.PRECISION - Math.log(s[1]) / Math.log(2))
                    .sum();
            assertEquals(bits / 8 + Rans.STATE_BYTES, block.length, 2 + 1e-3 * bits / 8);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 7, 13, 14})
    void plainBitsComeBack(int bits) {
        Random random = new Random(bits);
        int[] values = random.ints(1000, 0, 1 << bits).toArray();
        Rans.Encoder encoder = new Rans.Encoder();
        for (int value : values) {
            encoder.putBits(value, bits);
        }
        Rans.Decoder decoder = new Rans.Decoder(encoder.finish());
        assertArrayEquals(
                values, Arrays.stream(values).map(v -> decoder.takeBits(bits)).toArray());
        assertTrue(decoder.isDone());
    }

    /** By hand: no symbol leaves 2^23; one bit that is 1 makes 2^23 / 2^13 * 2^14 + 2^13 of it. */
    @Test
    void theSmallestBlocks() {
        Rans.Encoder encoder = new Rans.Encoder();
        byte[] empty = encoder.finish();
        assertArrayEquals(new byte[] {0, 0, (byte) 0x80, 0}, empty);
        assertTrue(new Rans.Decoder(empty).isDone());
        encoder.put(0, Rans.TOTAL);
        assertArrayEquals(empty, encoder.finish(), "what is sure takes nothing");
        encoder.putBits(1, 1);
        assertArrayEquals(new byte[] {0, 0x20, 0, 1}, encoder.finish());
    }

    @Test
    void aBlockThatIsCutOrLongerDoesNotEnd() {
        int[][] symbols = symbols(9);
        byte[] block = coded(new Rans.Encoder(), symbols);
        for (int length : new int[] {4, block.length / 2, block.length - 1, block.length + 1, block.length + 9}) {
            Rans.Decoder decoder = new Rans.Decoder(Arrays.copyOf(block, length));
            holds(decoder, symbols);
            assertFalse(decoder.isDone(), length + " bytes");
        }
        Rans.Decoder early = new Rans.Decoder(block);
        holds(early, Arrays.copyOf(symbols, SYMBOLS / 2));
        assertFalse(early.isDone());
    }

    @ParameterizedTest
    @ValueSource(ints = {0, (1 << 23) - 1, Integer.MIN_VALUE, -1})
    void aStateOutOfItsRangeIsRefused(int state) {
        byte[] block = {(byte) state, (byte) (state >> 8), (byte) (state >> 16), (byte) (state >> 24)};
        assertThrows(IllegalArgumentException.class, () -> new Rans.Decoder(block));
    }
}
