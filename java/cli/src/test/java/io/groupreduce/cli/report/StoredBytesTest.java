package io.groupreduce.cli.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.Method;
import io.groupreduce.matrix.Codec;
import org.junit.jupiter.api.Test;

class StoredBytesTest {
    @Test
    void partsOfAKnownMatrix() {
        CompressionResult result = Samples.sharedBasis(3);
        StoredBytes stored = StoredBytes.of(result.matrix());
        // 6 rows of two nibbles, 2 x 24 bfloat16, 24 INT8, a bfloat16 scale for each of 7 rows, 8 rows and the header.
        assertEquals(new StoredBytes(6, 96, 24, 14, 8 + result.matrix().headerBytes()), stored);
        assertEquals(result.matrix().bytes(), stored.total());
    }

    @Test
    void partsAddUpAfterTheMemoryIsGone() {
        for (Codec codec : Codec.values()) {
            CompressionResult result = Samples.compressed(Method.GROUPREDUCE, codec);
            StoredBytes stored = StoredBytes.of(result.matrix());
            assertEquals(result.matrix().bytes(), stored.total(), codec.label());
            assertEquals(result.matrix().rows() + result.matrix().headerBytes(), stored.numbers(), codec.label());
            assertTrue(stored.left() > 0 && stored.right() > 0, codec.label());
            assertEquals(codec.scaled(), stored.scales() > 0, codec.label());
        }
    }
}
