package io.groupreduce.internal.packed;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Tables fill the range exactly, whatever was seen, and a file's bytes give the same ones. */
class SymbolTableTest {
    /** Checks what every table must be, and gives its frequencies. */
    private static int[] frequencies(SymbolTable table) {
        byte[] stored = table.stored();
        SymbolTable read = new SymbolTable(stored.clone());
        int[] frequencies = IntStream.range(0, stored.length)
                .map(table::frequency)
                .peek(f -> assertTrue(f >= 1))
                .toArray();
        assertEquals(Rans.TOTAL, Arrays.stream(frequencies).sum());
        Rans.Encoder encoder = new Rans.Encoder();
        for (int s = 0; s < stored.length; s++) {
            assertEquals(frequencies[s], read.frequency(s));
            assertEquals(frequencies[s], Rans.TOTAL * Math.pow(2, -table.bits(s)), 1e-6 * Rans.TOTAL);
            table.put(encoder, s);
        }
        Rans.Decoder decoder = new Rans.Decoder(encoder.finish());
        for (int s = 0; s < stored.length; s++) {
            assertEquals(s, read.take(decoder));
        }
        assertTrue(decoder.isDone());
        return frequencies;
    }

    @Test
    void frequenciesAreNearWhatWasSeen() {
        Random random = new Random(1);
        for (int round = 0; round < 300; round++) {
            double[] seen = random.doubles(1 + random.nextInt(255))
                    .map(x -> Math.floor(1e6 * Math.pow(x, 8)))
                    .toArray();
            double sum = Arrays.stream(seen).sum();
            SymbolTable table = SymbolTable.of(seen);
            int[] found = frequencies(table);
            double[] wanted = Arrays.stream(seen).map(s -> Rans.TOTAL * s / sum).toArray();
            int likeliest = IntStream.range(0, seen.length)
                    .reduce(0, (a, s) -> (table.stored()[s] & 0xff) > (table.stored()[a] & 0xff) ? s : a);
            double entropy = 0;
            double bits = 0;
            for (int s = 0; s < seen.length; s++) {
                entropy -= seen[s] > 0 ? seen[s] * Math.log(seen[s] / sum) : 0;
                bits -= seen[s] * Math.log((double) found[s] / Rans.TOTAL);
                // Half a sixteenth of an octave, the next whole number, and what the likeliest one's debts take.
                assertTrue(s == likeliest || found[s] <= 1.03 * wanted[s] + 1 && found[s] >= 0.9 * wanted[s] - 1);
            }
            assertTrue(bits <= 1.01 * entropy + 0.02 * sum, bits + " of " + entropy);
        }
    }

    /** Equal ones are rounded up together by up to 2 %, more than all there is. */
    @Test
    void equalSymbolsOfAnyNumberFit() {
        for (int n = 1; n <= 255; n++) {
            double[] seen = new double[n];
            int[] unseen = frequencies(SymbolTable.of(seen));
            Arrays.fill(seen, 3);
            int[] equal = frequencies(SymbolTable.of(seen));
            for (int s = 1; s < n; s++) {
                assertEquals(Rans.TOTAL / (double) n, equal[s], 0.05 * Rans.TOTAL / n);
                assertEquals(Rans.TOTAL / (double) n, unseen[s], 0.05 * Rans.TOTAL / n);
            }
        }
    }

    @Test
    void whatWasNeverSeenCanBeCoded() {
        double[] seen = new double[255];
        seen[200] = 1e9;
        int[] frequencies = frequencies(SymbolTable.of(seen));
        assertEquals(Rans.TOTAL - 254, frequencies[200]);
        assertEquals(1, frequencies[0]);
        assertEquals(0, SymbolTable.of(new double[] {5}).bits(0));
    }

    @Test
    void theFirstOfTheLargestBytesHasWhatIsLeft() {
        // 2^(160 / 16) = 1024 and 2^(16 / 16) = 2 places.
        int[] frequencies = frequencies(new SymbolTable(new byte[] {16, (byte) 160, (byte) 160, 0}));
        assertEquals("[2, 15357, 1024, 1]", Arrays.toString(frequencies));
        assertEquals(Rans.TOTAL, new SymbolTable(new byte[] {0}).frequency(0));
    }

    @Test
    void aTableThatLeavesTheLikeliestNothingIsRefused() {
        for (int[] stored : new int[][] {{224, 224}, {225}, {255, 0}, {200, 208, 216, 222, 223, 100}}) {
            byte[] bytes = new byte[stored.length];
            IntStream.range(0, bytes.length).forEach(s -> bytes[s] = (byte) stored[s]);
            assertThrows(IllegalArgumentException.class, () -> new SymbolTable(bytes), Arrays.toString(stored));
        }
        // 2^13 places, and what is left of as many.
        assertEquals(Rans.TOTAL / 2, new SymbolTable(new byte[] {(byte) 208, (byte) 208}).frequency(0));
    }
}
