package io.groupreduce.internal.packed;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Codes of rows come back, in the bits that are told before they are coded. */
class CoordinateModelTest {
    private static final CoordinateModel FIRST = CoordinateModel.first();

    /** The symbols of one code, and of those after it. */
    private static List<String> told(byte[] codes, int... deviations) {
        List<String> told = new ArrayList<>();
        FIRST.walk(codes, 0, codes.length, deviations, 0, new CoordinateModel.Sink() {
            @Override
            public void token(int table, int token) {
                told.add("t" + table + ":" + token);
            }

            @Override
            public void bits(int value, int bits) {
                told.add(bits + "b" + value);
            }
        });
        return told;
    }

    /** Eighths of an octave from a deviation of one step, what is coded, and what it becomes. */
    @ParameterizedTest
    @CsvSource({
        "0, 0, 't16:0'",
        "0, 5, 't16:5 1b0'",
        "0, -15, 't16:15 7b0 1b1'",
        "0, 127, 't16:15 7b112 1b0'",
        "14, 14, 't23:14 1b0'",
        "15, 14, 't20:7 1b0 1b0'",
        "16, 7, 't20:3 1b1 1b0'",
        "16, -31, 't20:15 7b0 1b1 1b1'",
        "24, -127, 't20:15 7b16 2b3 1b1'",
        "48, 100, 't20:3 5b4 1b0'",
        "55, 1, 't23:0 5b1 1b0'",
        "255, 127, 't23:3 5b31 1b0'",
        "-1, 0, 't16:0'",
        "-2, 0, 't15:0'",
        "-255, -127, 't0:15 7b112 1b1'"
    })
    void theSymbolsOfACode(int eighths, byte code, String symbols) {
        assertEquals(symbols, String.join(" ", told(new byte[] {code}, eighths)));
    }

    @Test
    void aRowLargerThanExpectedIsExpectedToBeLarger() {
        byte[] codes = new byte[61];
        int before = last(codes);
        Arrays.fill(codes, 0, 60, (byte) 4);
        int after = last(codes);
        assertTrue(before < 16 && after >= 20, before + " and " + after);
    }

    /** The table of the last code. */
    private static int last(byte[] codes) {
        List<String> tokens = told(codes, new int[codes.length]);
        tokens.removeIf(symbol -> !symbol.startsWith("t"));
        return Integer.parseInt(tokens.getLast().replaceAll("t|:.*", ""));
    }

    /** Rows of all lengths, most of them with codes that no one would expect. */
    @Test
    void anyCodesComeBack() {
        Random random = new Random(4);
        CoordinateModel[] models = {
            FIRST, PackedFixture.of(3, 500, 9, 30).packing().model()
        };
        for (int round = 0; round < 200; round++) {
            CoordinateModel model = models[round % 2];
            int count = random.nextInt(80);
            int[] deviations = random.ints(count, 0, 256).toArray();
            byte[] codes = new byte[count + 2];
            for (int j = 0; j < codes.length; j++) {
                codes[j] = (byte) (random.nextInt(255) - 127 >> random.nextInt(8));
            }
            int step = random.nextInt(-128, 384);
            Rans.Encoder encoder = new Rans.Encoder();
            model.encode(encoder, codes, 1, count, deviations, step);
            Rans.Decoder decoder = new Rans.Decoder(encoder.finish());
            byte[] found = codes.clone();
            Arrays.fill(found, 1, 1 + count, (byte) 99);
            model.read(decoder, found, 1, count, deviations, step);
            assertArrayEquals(codes, found, "round " + round);
            assertTrue(decoder.isDone());
        }
    }

    @ParameterizedTest
    @CsvSource({"113, 0", "127, 0", "0, 40"})
    void aCodeBeyond127IsRefused(int beyondEscape, int eighths) {
        Rans.Encoder encoder = new Rans.Encoder();
        FIRST.table(eighths == 0 ? 16 : 20).put(encoder, 15);
        encoder.putBits(beyondEscape, 7);
        encoder.putBits(15, 4);
        byte[] block = encoder.finish();
        IllegalArgumentException refused = assertThrows(
                IllegalArgumentException.class,
                () -> FIRST.read(new Rans.Decoder(block), new byte[1], 0, 1, new int[] {eighths}, 0));
        int magnitude = eighths == 0 ? 15 + beyondEscape : 15 * 16 + 15;
        assertTrue(refused.getMessage().contains(" " + magnitude + " steps"), refused.getMessage());
    }

    /** Bits are told to 0.1 %, whether rows are counted at once or in parts. */
    @Test
    void aSizeIsToldBeforeItIsThere() {
        PackedFixture fixture = PackedFixture.of(5, 3 * PackedRows.BLOCK, 9, 40, 25, 12);
        PackedRows packing = fixture.packing();
        Census[] parts = {new Census(), new Census()};
        double groupBits = 0;
        for (int i = 0; i < fixture.groupOf().length; i++) {
            int g = fixture.groupOf()[i];
            int step = packing.steps()[g] - packing.gains()[g];
            packing.model().walk(fixture.codes()[i], 0, packing.ranks()[g], packing.deviations(), step, parts[i % 2]);
            groupBits += packing.groups().bits(g);
        }
        parts[0].add(parts[1]);
        double told = (parts[0].bits(packing.model()) + groupBits) / 8;
        double real = PackedFixture.blocks(packing, fixture.groupOf(), fixture.codes()).stream()
                .mapToInt(b -> b.length - Rans.STATE_BYTES)
                .sum();
        assertEquals(real, told, 1e-3 * real);
        // Tables of what was counted are what tables that are made of it take, and no worse than others.
        assertEquals(parts[0].bits(parts[0].model()), parts[0].bits(), 1e-6 * real);
        assertTrue(parts[0].bits() <= parts[0].bits(FIRST));
        assertEquals(0, Census.bits(new double[3]));
        assertEquals(2 * 3, Census.bits(new double[] {3, 0, 3}), 0.01);
    }
}
