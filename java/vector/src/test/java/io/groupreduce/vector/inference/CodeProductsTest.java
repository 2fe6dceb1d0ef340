package io.groupreduce.vector.inference;

import static io.groupreduce.vector.kernel.Lanes.LANES;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.EncodedMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class CodeProductsTest {
    @Test
    void productsAreThoseOfDecodedRows() {
        SplittableRandom random = new SplittableRandom(6);
        for (int round = 0; round < 200; round++) {
            int[] bits = new int[1 + random.nextInt(150)];
            int now = 1 + random.nextInt(8);
            for (int d = 0; d < bits.length; d++) {
                now = Math.max(1, now - (random.nextInt(12) == 0 ? 1 : 0));
                bits[d] = now;
            }
            BitProfile profile = BitProfile.of(bits);
            int rank = bits.length;
            float[] z = new float[rank + 3 + LANES];
            float[] values = new float[Math.max(LANES, rank)];
            for (int d = 0; d < z.length; d++) {
                // What lies behind the last coordinate is another state's.
                z[d] = d < rank + 3 ? (float) random.nextGaussian() : Float.NaN;
            }
            try (Arena arena = Arena.ofConfined()) {
                int rows = 4;
                EncodedMatrix left = EncodedMatrix.allocate(arena, profile, rows, rank);
                for (long at = 0; at < left.data().byteSize(); at++) {
                    left.data().set(ValueLayout.JAVA_BYTE, at, (byte) random.nextInt());
                }
                for (int row = 0; row < rows; row++) {
                    byte[] codes = new byte[5 + (int) profile.rowBytes() + CodeProducts.OVERREAD];
                    random.nextBytes(codes);
                    MemorySegment.copy(left.data(), ValueLayout.JAVA_BYTE, row * profile.rowBytes(), codes, 5, (int)
                            profile.rowBytes());
                    left.decodeValues(row, rank, values, 0);
                    double sum = 0;
                    double size = 0;
                    for (int d = 0; d < rank; d++) {
                        sum += (double) values[d] * z[3 + d];
                        size += Math.abs(values[d] * z[3 + d]);
                    }
                    float[] scratch = new float[values.length];
                    assertEquals(sum, CodeProducts.sum(profile, codes, 5, z, 3, scratch), 1e-6 * size, profile.text());
                    assertEquals(sum, CodeProducts.sum(values, rank, z, 3), 1e-6 * size, profile.text());
                }
            }
        }
    }
}
