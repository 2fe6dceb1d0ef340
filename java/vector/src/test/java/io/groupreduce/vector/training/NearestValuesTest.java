package io.groupreduce.vector.training;

import static io.groupreduce.vector.kernel.Lanes.LANES;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.EncodedMatrix;
import java.lang.foreign.Arena;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class NearestValuesTest {
    @Test
    void roundingHasTheBitsOfStoringAndReading() {
        SplittableRandom random = new SplittableRandom(11);
        try (Arena arena = Arena.ofShared()) {
            for (int round = 0; round < 400; round++) {
                int width = 1 + random.nextInt(70);
                int most = 1 + random.nextInt(8);
                int fewest = 1 + random.nextInt(most);
                int[] bits = new int[width];
                for (int j = 0; j < width; j++) {
                    bits[j] = most - (most - fewest + 1) * j / width;
                }
                EncodedMatrix stored = EncodedMatrix.allocate(arena, BitProfile.of(bits), 1, width);
                float least = round % 40 == 0 ? 0 : 0x1p-130f; // without an inverse
                float scale = round % 20 == 0 ? least : (float) Math.pow(2, random.nextInt(-6, 7));
                stored.storeScale(0, 0, scale);
                float[] numbers = new float[width + LANES];
                for (int j = 0; j < width; j++) {
                    // Borders of codes and halves of integers, and numbers far beyond the last code.
                    float number = random.nextInt(-150, 151) * 0.5f;
                    numbers[j] = (random.nextInt(3) == 0 ? (float) random.nextGaussian() * 300 : number) * scale;
                }
                float[] found = new float[width + LANES];
                new NearestValues(BitProfile.of(bits)).round(numbers, 0, 0, width, scale, found);
                stored.requantizeRow(0, numbers, 0);
                float[] expected = new float[width];
                stored.decodeRow(0, expected, 0);
                for (int j = 0; j < width; j++) {
                    assertEquals(expected[j], found[j], bits[j] + " bits: " + numbers[j] + " at scale " + scale);
                }
            }
        }
    }
}
