package io.groupreduce.internal.reference;

import io.groupreduce.api.Sampling;
import io.groupreduce.internal.select.GumbelNoise;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.spi.InferenceProblem;
import io.groupreduce.spi.InferenceSession;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Comparator;

/**
 * One hidden state at a time, with all N logits in doubles: {@code y_i = sum_k L_i[k] (R[k] . h) + bias_i}. Nothing is left out, so
 * pruning and tolerance have no meaning here. Keeps nothing between queries, so any number of threads may ask.
 *
 * <p>Doubles reach further than the binary32 of answers: a state with a coordinate or a logit beyond it has only logits NaN, and -1 is
 * drawn.
 */
final class ReferenceInference implements InferenceSession {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT_UNALIGNED;

    private final CompressedMatrix matrix;
    private final float[] bias;

    ReferenceInference(InferenceProblem problem) {
        this.matrix = problem.matrix();
        this.bias = problem.bias();
    }

    @Override
    public void top(float[] hidden, int states, int k, int[] tokens, float[] logits, double[] logSumExp) {
        for (int s = 0; s < states; s++) {
            double[] y = logits(hidden, s);
            int[] ranked = k == 0 ? new int[0] : ranked(y);
            for (int place = 0; place < k; place++) {
                tokens[s * k + place] = Double.isNaN(y[0]) ? -1 : ranked[place];
                logits[s * k + place] = (float) y[ranked[place]];
            }
            if (logSumExp != null) {
                logSumExp[s] = logSumExp(y);
            }
        }
    }

    @Override
    public void score(float[] hidden, int states, int[] targets, float[] logits, double[] logSumExp) {
        for (int s = 0; s < states; s++) {
            double[] y = logits(hidden, s);
            logits[s] = (float) y[targets[s]];
            if (logSumExp != null) {
                logSumExp[s] = logSumExp(y);
            }
        }
    }

    @Override
    public void sample(float[] hidden, int states, Sampling sampling, long seed, int[] tokens) {
        for (int s = 0; s < states; s++) {
            tokens[s] = draw(logits(hidden, s), sampling, GumbelNoise.key(seed, s));
        }
    }

    @Override
    public void logits(float[] hidden, int states, MemorySegment target) {
        long at = 0;
        for (int s = 0; s < states; s++) {
            for (double y : logits(hidden, s)) {
                target.set(F32, at, (float) y);
                at += Float.BYTES;
            }
        }
    }

    @Override
    public void rows(int[] tokens, int count, float[] target, int offset) {
        int columns = matrix.columns();
        for (int n = 0; n < count; n++) {
            double[] row = row(tokens[n]);
            for (int j = 0; j < columns; j++) {
                target[offset + n * columns + j] = (float) row[j];
            }
        }
    }

    @Override
    public void close() {
        // holds nothing
    }

    /** The logits of one hidden state over the whole vocabulary. */
    private double[] logits(float[] hidden, int state) {
        int columns = matrix.columns();
        float[] h = Arrays.copyOfRange(hidden, state * columns, (state + 1) * columns);
        double[][] z = new double[matrix.bases()][];
        for (int b = 0; b < z.length; b++) {
            z[b] = projection(b, h);
        }
        double[] y = new double[matrix.rows()];
        boolean beyond = Arrays.stream(z).flatMapToDouble(Arrays::stream).anyMatch(x -> Double.isInfinite((float) x));
        float[] left = new float[columns];
        for (int i = 0; i < y.length; i++) {
            int g = matrix.group(i);
            GroupPlan plan = matrix.groups().get(g);
            if (!plan.isZero()) {
                matrix.left(g).decodeRow(matrix.slot(i), left, 0);
                for (int k = 0; k < plan.rank(); k++) {
                    y[i] += left[k] * (plan.isDense() ? h[k] : z[plan.basis()][k]);
                }
            }
            y[i] += bias == null ? 0 : bias[i];
            beyond |= (float) y[i] == Float.POSITIVE_INFINITY;
        }
        if (beyond) {
            Arrays.fill(y, Double.NaN);
        }
        return y;
    }

    /** {@code z = R h}, one number for each direction of the basis. */
    private double[] projection(int basis, float[] h) {
        float[] right = matrix.decodedRight(basis);
        double[] z = new double[right.length / h.length];
        for (int k = 0; k < z.length; k++) {
            for (int j = 0; j < h.length; j++) {
                z[k] += (double) right[k * h.length + j] * h[j];
            }
        }
        return z;
    }

    /** Row i of A^. */
    private double[] row(int i) {
        double[] row = new double[matrix.columns()];
        int g = matrix.group(i);
        GroupPlan plan = matrix.groups().get(g);
        if (plan.isZero()) {
            return row;
        }
        EncodedMatrix stored = matrix.left(g);
        float[] left = new float[stored.width()];
        stored.decodeRow(matrix.slot(i), left, 0);
        for (int k = 0; k < plan.rank(); k++) {
            for (int j = 0; j < row.length && plan.isLowRank(); j++) {
                row[j] += (double) left[k] * matrix.decodedRight(plan.basis())[k * row.length + j];
            }
            row[k] += plan.isDense() ? left[k] : 0;
        }
        return row;
    }

    private static double logSumExp(double[] y) {
        double max = Arrays.stream(y).max().getAsDouble();
        double sum = 0;
        for (double value : y) {
            sum += Math.exp(value - max);
        }
        return max + Math.log(sum);
    }

    /** All tokens, the largest logit first as it is given, in binary32, ties to the lower token. */
    private static int[] ranked(double[] y) {
        Integer[] tokens = new Integer[y.length];
        Arrays.setAll(tokens, i -> i);
        // The sort is stable, so equal logits stay in the order of their tokens.
        Arrays.sort(tokens, Comparator.comparingDouble((Integer i) -> -(float) y[i]));
        return Arrays.stream(tokens).mapToInt(Integer::intValue).toArray();
    }

    /** Written without {@link io.groupreduce.internal.select.Drawing}, which the backends share, so that it can judge them. */
    private static int draw(double[] y, Sampling sampling, long key) {
        if (Double.isNaN(y[0])) {
            return -1;
        }
        int[] ranked = ranked(y);
        double max = y[ranked[0]];
        int kept = sampling.topK() == 0 ? y.length : Math.min(y.length, sampling.topK());
        kept = keptByTopP(y, ranked, kept, sampling);
        int best = -1;
        double most = 0;
        for (int place = 0; place < kept; place++) {
            int token = ranked[place];
            // Less the largest logit, so that no temperature makes it infinite; that moves all tokens alike.
            double scaled = (y[token] - max) / sampling.temperature();
            if (Math.exp(scaled) < sampling.minP()) {
                break;
            }
            double value = scaled + GumbelNoise.of(GumbelNoise.hash(key, token));
            if (best < 0 || value > most || value == most && token < best) {
                best = token;
                most = value;
            }
        }
        return best;
    }

    /** How many of the {@code kept} likeliest tokens it takes to reach top-p of their sum. */
    private static int keptByTopP(double[] y, int[] ranked, int kept, Sampling sampling) {
        if (sampling.topP() == 1) {
            return kept;
        }
        double[] reached = new double[kept];
        double sum = 0;
        for (int place = 0; place < kept; place++) {
            sum += Math.exp((y[ranked[place]] - y[ranked[0]]) / sampling.temperature());
            reached[place] = sum;
        }
        int enough = 0;
        while (reached[enough] < sampling.topP() * sum) {
            enough++;
        }
        return enough + 1;
    }
}
