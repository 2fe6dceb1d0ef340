package io.groupreduce.vector.compress;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class ScaleGridTest {
    @Test
    void theExponentIsTheLeastThatClipsNothing() {
        SplittableRandom random = new SplittableRandom(1);
        for (int n = 0; n < 20_000; n++) {
            float largest = (float) Math.scalb(random.nextDouble(1, 2), random.nextInt(-80, 80));
            for (int maxInteger : new int[] {3, 7, 127}) {
                double scale = (double) largest / maxInteger;
                int exponent = ScaleGrid.exponent(largest, maxInteger);
                String what = largest + " / " + maxInteger;
                assertTrue(Math.pow(2, exponent / 8.0) >= scale * (1 - 1e-12), what);
                assertTrue(Math.pow(2, (exponent - 1) / 8.0) < scale, what);
            }
        }
    }

    @Test
    void powersOfTwoAreTheirOwnScale() {
        for (int octave = -60; octave <= 60; octave++) {
            assertEquals(8 * octave, ScaleGrid.exponent(7 * Math.scalb(1f, octave), 7));
            assertEquals(Math.scalb(1f, octave), ScaleGrid.scale(8 * octave));
        }
    }

    @Test
    void scalesAndTheirInversesAreNormalNumbersWhateverTheRow() {
        for (float largest : new float[] {0, Float.MIN_VALUE, 1e-30f, 1, 1e30f, Float.MAX_VALUE}) {
            int exponent = ScaleGrid.exponent(largest, 7);
            for (int below = 0; below <= 22; below++) {
                float scale = ScaleGrid.scale(exponent - below);
                float inverse = ScaleGrid.scale(below - exponent);
                assertTrue(scale >= Float.MIN_NORMAL && inverse >= Float.MIN_NORMAL, largest + " down " + below);
                assertEquals(1, scale * inverse, 1e-6, largest + " down " + below);
            }
        }
    }
}
