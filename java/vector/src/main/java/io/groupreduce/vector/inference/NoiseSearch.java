package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.INTS;
import static io.groupreduce.vector.inference.Codes.TILE;
import static io.groupreduce.vector.kernel.Lanes.LANES;
import static jdk.incubator.vector.VectorOperators.LSHR;
import static jdk.incubator.vector.VectorOperators.XOR;

import io.groupreduce.internal.select.GumbelNoise;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * The token of largest {@code logit / temperature + g} so far, g from {@link GumbelNoise}; ties go to the lower token. g rises with the hash
 * of a token, so a tile needs hashes, which are vectors' work, and hardly ever a logarithm.
 */
final class NoiseSearch {
    /** No token. */
    static final int NONE = -1;

    private long key;
    private double temperature;
    private float logit;
    private double noise;
    private int token;

    /** Forgets everything. */
    void start(long newKey, double newTemperature) {
        key = newKey;
        temperature = newTemperature;
        logit = Float.NEGATIVE_INFINITY;
        token = NONE;
    }

    /** The token drawn; {@link #NONE} before the first. */
    int token() {
        return token;
    }

    /** Its logit. */
    float logit() {
        return logit;
    }

    /** The most that noise adds in a tile whose tokens stand from {@code firstName} on. */
    double largestNoise(int[] names, int firstName) {
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
        return GumbelNoise.atMost(largest.reduceLanes(VectorOperators.MAX) ^ Integer.MIN_VALUE);
    }

    /** The logit below which no token of a tile can win. */
    double limit(double largestNoise) {
        if (token == NONE) {
            return Double.NEGATIVE_INFINITY;
        }
        double limit = logit + temperature * (noise - largestNoise);
        return limit - 1e-12 * Math.abs(limit);
    }

    /** Considers one token. */
    void offer(float itsLogit, int itsToken) {
        int hash = GumbelNoise.hash(key, itsToken);
        if (itsLogit >= limit(GumbelNoise.atMost(hash))) {
            take(itsLogit, GumbelNoise.of(hash), itsToken);
        }
    }

    /** Two tokens are compared by the difference of their logits: at a temperature near 0 a logit divided by it has no meaning. */
    private void take(float itsLogit, double itsNoise, int itsToken) {
        double ahead = token == NONE
                ? Double.POSITIVE_INFINITY
                : ((double) itsLogit - logit) / temperature + (itsNoise - noise);
        if (ahead > 0 || ahead == 0 && itsToken < token) {
            logit = itsLogit;
            noise = itsNoise;
            token = itsToken;
        }
    }

    /** Takes over what was found among other tokens. */
    void merge(NoiseSearch other) {
        if (other.token != NONE) {
            take(other.logit, other.noise, other.token);
        }
    }
}
