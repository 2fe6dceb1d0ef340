package io.groupreduce.models.run;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class SamplingTest {
    @ParameterizedTest
    @CsvSource({
        // content, available, wanted, masked, states, sequences
        "256, 1000, 20000, false, 20000, 157",
        "256, 1000, 20000, true, 20000, 527",
        "256, 10, 20000, false, 2550, 10",
        "256, 10, 20000, true, 380, 10",
        "2, 7, 5, false, 5, 5",
        "2, 1, 5, true, 1, 1",
        "100, 1000000, 1, false, 1, 1",
        "131072, 100, 10000000, false, 10000000, 100"
    })
    void positionsAreDistinctAndAsManyInEachSequence(
            int content, long available, int wanted, boolean masked, int states, int sequences) {
        Sampling sampling = new Sampling(content, available, wanted, masked);
        assertEquals(states, sampling.states());
        assertEquals(sequences, sampling.sequences());
        int sum = 0;
        for (int s = 0; s < sequences; s++) {
            assertEquals(sum, sampling.before(s));
            int[] positions = sampling.positions(s);
            assertTrue(Math.abs(positions.length - (double) states / sequences) < 1);
            int last = -1;
            for (int position : positions) {
                assertTrue(position > last && position < (masked ? content : content - 1), position + " after " + last);
                last = position;
            }
            assertArrayEquals(positions, new Sampling(content, available, wanted, masked).positions(s));
            sum += positions.length;
        }
        assertEquals(states, sum);
    }
}
