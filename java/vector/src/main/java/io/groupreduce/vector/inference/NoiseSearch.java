package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.INTS;
import static io.groupreduce.vector.inference.Codes.TILE;
import static io.groupreduce.vector.kernel.Lanes.LANES;
import static jdk.incubator.vector.VectorOperators.LSHR;
import static jdk.incubator.vector.VectorOperators.XOR;

import io.groupreduce.internal.select.Drawing;
import io.groupreduce.internal.select.GumbelNoise;
import java.util.Arrays;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * For each of some hidden states the token of largest {@code logit / temperature + g} so far, g from {@link GumbelNoise}; ties go to the
 * lower token. g rises with the hash of a token, so a tile needs hashes, which are vectors' work, and hardly ever a logarithm.
 */
final class NoiseSearch {
    /** The largest g of a hash with this many leading ones. */
    private static final double[] LARGEST_NOISE = new double[Integer.SIZE + 1];

    static {
        for (int ones = 0; ones <= Integer.SIZE; ones++) {
            int hash = ones == Integer.SIZE ? -1 : ~(Integer.MIN_VALUE >>> ones);
            LARGEST_NOISE[ones] = GumbelNoise.of(hash);
        }
    }

    private double temperature;
    private long[] keys = new long[0];
    private float[] logits = new float[0];
    private double[] noise = new double[0];
    private int[] tokens = new int[0];

    /** Forgets everything; {@code first} is the place of the first state in the caller's batch. */
    void start(int states, long seed, int first, double newTemperature) {
        if (keys.length < states) {
            keys = new long[states];
            logits = new float[states];
            noise = new double[states];
            tokens = new int[states];
        }
        temperature = newTemperature;
        for (int state = 0; state < states; state++) {
            keys[state] = GumbelNoise.key(seed, first + state);
        }
        Arrays.fill(logits, 0, states, Float.NEGATIVE_INFINITY);
        Arrays.fill(tokens, 0, states, Drawing.NONE);
    }

    /** The token drawn for a state; {@link Drawing#NONE} if no logit was a number. */
    int token(int state) {
        return tokens[state];
    }

    /** The most that noise adds in a tile whose tokens stand from {@code firstName} on. */
    double largestNoise(int state, int[] names, int firstName) {
        long key = keys[state];
        IntVector largest = IntVector.broadcast(INTS, Integer.MIN_VALUE);
        for (int i = 0; i < TILE; i += LANES) {
            IntVector x = IntVector.fromArray(INTS, names, firstName + i);
            x = x.mul(0x9E3779B1).add((int) key);
            // Written out: a helper that returns a vector makes an object of it wherever it is not inlined.
            x = x.lanewise(XOR, x.lanewise(LSHR, 16)).mul(0x85EBCA6B);
            x = x.lanewise(XOR, x.lanewise(LSHR, 13)).mul(0xC2B2AE35).add((int) (key >>> 32));
            x = x.lanewise(XOR, x.lanewise(LSHR, 16)).mul(0x7FEB352D);
            x = x.lanewise(XOR, x.lanewise(LSHR, 15)).mul(0x846CA68B);
            x = x.lanewise(XOR, x.lanewise(LSHR, 16));
            // Signed maxima of numbers with the sign turned over are unsigned maxima.
            largest = largest.max(x.lanewise(XOR, Integer.MIN_VALUE));
        }
        return bound(largest.reduceLanes(VectorOperators.MAX) ^ Integer.MIN_VALUE);
    }

    private static double bound(int hash) {
        return LARGEST_NOISE[Integer.numberOfLeadingZeros(~hash)];
    }

    /** The logit below which no token of a tile can win. */
    double limit(int state, double largestNoise) {
        if (tokens[state] == Drawing.NONE) {
            return Double.NEGATIVE_INFINITY;
        }
        double limit = logits[state] + temperature * (noise[state] - largestNoise);
        return limit - 1e-12 * Math.abs(limit);
    }

    /** Considers {@code used} logits. */
    void add(int state, float[] values, int from, int used, int[] names, int firstName, double largestNoise) {
        double limit = limit(state, largestNoise);
        for (int i = 0; i < used; i++) {
            if (values[from + i] >= limit) {
                offer(state, values[from + i], names[firstName + i]);
                limit = limit(state, largestNoise);
            }
        }
    }

    /** Considers one token. */
    void offer(int state, float logit, int token) {
        int hash = GumbelNoise.hash(keys[state], token);
        if (logit >= limit(state, bound(hash))) {
            take(state, logit, GumbelNoise.of(hash), token);
        }
    }

    /** Two tokens are compared by the difference of their logits: at a temperature near 0 a logit divided by it has no meaning. */
    private void take(int state, float logit, double itsNoise, int token) {
        double ahead = tokens[state] == Drawing.NONE
                ? Double.POSITIVE_INFINITY
                : ((double) logit - logits[state]) / temperature + (itsNoise - noise[state]);
        if (ahead > 0 || ahead == 0 && token < tokens[state]) {
            logits[state] = logit;
            noise[state] = itsNoise;
            tokens[state] = token;
        }
    }

    /** Takes over what was found among other tokens. */
    void merge(NoiseSearch other, int states) {
        for (int state = 0; state < states; state++) {
            if (other.tokens[state] != Drawing.NONE) {
                take(state, other.logits[state], other.noise[state], other.tokens[state]);
            }
        }
    }
}
