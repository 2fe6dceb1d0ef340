package io.groupreduce.internal.reference;

import io.groupreduce.internal.select.GumbelNoise;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.spi.Chosen;
import io.groupreduce.spi.InferenceProblem;
import io.groupreduce.spi.InferenceSession;
import io.groupreduce.spi.Question;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;

/**
 * One hidden state at a time, with all N logits in doubles: {@code y_i = sum_k L_i[k] (R[k] . h) + bias_i}, capped where there is a cap. Nothing is left out, so
 * pruning and tolerance have no meaning here. Keeps nothing between queries, so any number of threads may ask.
 *
 * <p>Doubles reach further than the binary32 of answers: a state with a coordinate or a logit beyond it has only logits NaN, and -1 is
 * drawn.
 */
final class ReferenceInference implements InferenceSession {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT_UNALIGNED;

    private final CompressedMatrix matrix;
    private final float[] bias;
    private final double cap;

    ReferenceInference(InferenceProblem problem) {
        this.matrix = problem.matrix();
        this.bias = problem.bias();
        this.cap = problem.cap();
    }

    @Override
    public void answer(float[] hidden, int states, Question[] questions, int count, Chosen chosen) {
        double[] y = null;
        int of = -1;
        for (int q = 0; q < count; q++) {
            if (questions[q].state() != of) {
                of = questions[q].state();
                y = logits(hidden, of);
            }
            answer(questions[q], y);
        }
        for (int s = 0; s < states && chosen != null; s++) {
            if (chosen.from()[s] < chosen.from()[s + 1]) {
                y = logits(hidden, s);
                for (int i = chosen.from()[s]; i < chosen.from()[s + 1]; i++) {
                    chosen.logits()[i] = (float) y[chosen.tokens()[i]];
                }
            }
        }
    }

    private static void answer(Question question, double[] y) {
        int[] ranked = ranked(y, question.open());
        boolean broken = Double.isNaN(y[0]);
        for (int place = 0; place < question.listed(); place++) {
            question.listTokens()[place] = broken ? -1 : ranked[place];
            question.listLogits()[place] = (float) y[ranked[place]];
        }
        double largest = y[ranked[0]];
        if (question.sumTemperature() > 0) {
            double sum = 0;
            for (int token : ranked) {
                sum += Math.exp((y[token] - largest) / question.sumTemperature());
            }
            question.answerSum((float) largest, sum);
        }
        if (question.drawTemperature() > 0) {
            int best = broken ? -1 : draw(y, ranked, question);
            question.answerDraw(best, broken ? Float.NaN : (float) y[best]);
        }
    }

    private static int draw(double[] y, int[] ranked, Question question) {
        int best = -1;
        double most = 0;
        for (int token : ranked) {
            // Less the largest logit, so that no temperature makes it infinite; that moves all tokens alike.
            double value = (y[token] - y[ranked[0]]) / question.drawTemperature()
                    + GumbelNoise.of(GumbelNoise.hash(question.key(), token));
            if (best < 0 || value > most || value == most && token < best) {
                best = token;
                most = value;
            }
        }
        return best;
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
            y[i] = cap > 0 ? cap * Math.tanh(y[i] / cap) : y[i];
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

    /** The open tokens, the largest logit first as it is given, in binary32, ties to the lower token. */
    private static int[] ranked(double[] y, long[] open) {
        Integer[] tokens = IntStream.range(0, y.length)
                .filter(t -> open == null || (open[t >> 6] >>> t & 1) != 0)
                .boxed()
                .toArray(Integer[]::new);
        // -0 counts as 0; the sort is stable, so equal logits stay in the order of their tokens.
        Arrays.sort(tokens, Comparator.comparingDouble((Integer i) -> 0 - (float) y[i]));
        return Arrays.stream(tokens).mapToInt(Integer::intValue).toArray();
    }
}
