package io.groupreduce.internal.reference;

import io.groupreduce.matrix.Bf16;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.spi.CalibrationProblem;
import io.groupreduce.spi.CalibrationSession;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;

/**
 * Calibration one hidden state at a time, in doubles. With R the stored right factors, Y_i the stored left rows, p and q the
 * dense and the compressed softmax of B hidden states h:
 *
 * <pre>z = R h,   logit_i = Y_i z[0 : k] + bias_i,   g_i = (q_i - p_i) / B
 * dY_i = sum g_i z[0 : k],   dz = sum_i g_i Y_i,   dR = sum dz h^T,   dbias_i = sum g_i</pre>
 */
final class ReferenceCalibration implements CalibrationSession {
    private static final double BIAS_SIZE = 0.3;

    private final CalibrationProblem problem;
    private final CompressedMatrix start;
    private final int rows;
    private final int columns;
    private final Arena arena = Arena.ofShared();
    private final List<EncodedMatrix> storedLeft = new ArrayList<>();
    private final List<EncodedMatrix> storedRight = new ArrayList<>();

    /** Per row of the vocabulary; {@code null} for rows that are not trained. */
    private final Trained[] left;

    /** Per basis and row of its right factor. */
    private final Trained[][] right;

    /** Per row of the vocabulary; moved only when the bias is trained. */
    private final Trained[] bias;

    /** What is stored, decoded: per row of the vocabulary (empty in a zero group), and per basis and row. */
    private final float[][] decodedLeft;

    private final float[][][] decodedRight;

    /** What the compressed softmax adds to its logits. */
    private final float[] storedBias;

    private final double[] teacher;
    private final double[] student;
    private int steps;

    ReferenceCalibration(CalibrationProblem problem) {
        this.problem = problem;
        start = problem.start();
        rows = start.rows();
        columns = start.columns();
        left = new Trained[rows];
        right = new Trained[start.bases()][];
        bias = new Trained[rows];
        decodedLeft = new float[rows][];
        decodedRight = new float[start.bases()][][];
        teacher = new double[rows];
        student = new double[rows];
        for (int g = 0; g < start.groups().size(); g++) {
            storedLeft.add(start.left(g) == null ? null : start.left(g).copyTo(arena));
        }
        for (int b = 0; b < start.bases(); b++) {
            storedRight.add(start.right(b).copyTo(arena));
            decodedRight[b] = new float[(int) start.right(b).rows()][columns];
        }
        storedBias = problem.bias() == null ? new float[rows] : problem.bias().clone();
        for (int i = 0; i < rows; i++) {
            bias[i] = new Trained(new double[] {storedBias[i]}, BIAS_SIZE);
        }
        decode();
        for (int i = 0; i < rows; i++) {
            left[i] = plan(i).isLowRank() && decodedLeft[i].length > 0 ? Trained.of(decodedLeft[i]) : null;
        }
        for (int b = 0; b < right.length; b++) {
            right[b] = new Trained[decodedRight[b].length];
            for (int r = 0; r < right[b].length; r++) {
                right[b][r] = Trained.of(decodedRight[b][r]);
            }
        }
    }

    private GroupPlan plan(int row) {
        return start.groups().get(start.group(row));
    }

    private void decode() {
        for (int i = 0; i < rows; i++) {
            EncodedMatrix stored = storedLeft.get(start.group(i));
            boolean empty = plan(i).isZero() || stored == null;
            decodedLeft[i] = new float[empty ? 0 : stored.width()];
            if (!empty) {
                stored.decodeRow(start.slot(i), decodedLeft[i], 0);
            }
            if (problem.trainBias()) {
                storedBias[i] = Bf16.widen(Bf16.round((float) bias[i].values[0]));
            }
        }
        for (int b = 0; b < decodedRight.length; b++) {
            for (int r = 0; r < decodedRight[b].length; r++) {
                storedRight.get(b).decodeRow(r, decodedRight[b][r], 0);
            }
        }
    }

    @Override
    public double loss(float[] hidden, int count) {
        double total = 0;
        for (int t = 0; t < count; t++) {
            double[] h = state(hidden, t);
            total += logits(h, project(h));
        }
        return total / count;
    }

    @Override
    public double step(float[] hidden, int count, double rate) {
        double[][] leftGradient = new double[rows][];
        double[][] biasGradient = new double[rows][1];
        double[][][] rightGradient = new double[right.length][][];
        for (int i = 0; i < rows; i++) {
            leftGradient[i] = new double[decodedLeft[i].length];
        }
        for (int b = 0; b < right.length; b++) {
            rightGradient[b] = new double[right[b].length][columns];
        }
        double total = 0;
        for (int t = 0; t < count; t++) {
            double[] h = state(hidden, t);
            double[][] z = project(h);
            total += logits(h, z);
            double[][] zGradient = new double[right.length][];
            for (int b = 0; b < right.length; b++) {
                zGradient[b] = new double[right[b].length];
            }
            double teacherSum = logSumExp(teacher);
            double studentSum = logSumExp(student);
            for (int i = 0; i < rows; i++) {
                double g = (Math.exp(student[i] - studentSum) - Math.exp(teacher[i] - teacherSum)) / count;
                biasGradient[i][0] += g;
                for (int k = 0; left[i] != null && k < decodedLeft[i].length; k++) {
                    leftGradient[i][k] += g * z[plan(i).basis()][k];
                    zGradient[plan(i).basis()][k] += g * decodedLeft[i][k];
                }
            }
            for (int b = 0; b < right.length; b++) {
                for (int k = 0; k < right[b].length; k++) {
                    for (int j = 0; j < columns; j++) {
                        rightGradient[b][k][j] += zGradient[b][k] * h[j];
                    }
                }
            }
        }
        update(leftGradient, rightGradient, biasGradient, rate);
        return total / count;
    }

    private void update(double[][] leftGradient, double[][][] rightGradient, double[][] biasGradient, double rate) {
        steps++;
        for (int i = 0; i < rows; i++) {
            if (left[i] != null) {
                left[i].step(leftGradient[i], rate, steps);
                storedLeft.get(start.group(i)).requantizeRow(start.slot(i), left[i].floats(), 0);
            }
            if (problem.trainBias()) {
                bias[i].step(biasGradient[i], rate, steps);
            }
        }
        for (int b = 0; b < right.length; b++) {
            for (int r = 0; r < right[b].length; r++) {
                right[b][r].step(rightGradient[b][r], rate, steps);
                storedRight.get(b).encodeRow(r, right[b][r].floats(), 0);
            }
        }
        decode();
    }

    private double[] state(float[] hidden, int t) {
        double[] h = new double[columns];
        for (int j = 0; j < columns; j++) {
            h[j] = hidden[t * columns + j];
        }
        return h;
    }

    /** z of every basis. */
    private double[][] project(double[] h) {
        double[][] z = new double[right.length][];
        for (int b = 0; b < z.length; b++) {
            z[b] = new double[decodedRight[b].length];
            for (int k = 0; k < z[b].length; k++) {
                z[b][k] = dot(decodedRight[b][k], h);
            }
        }
        return z;
    }

    /** Computes both heads' logits and returns KL(dense || compressed). */
    private double logits(double[] h, double[][] z) {
        float[] row = new float[columns];
        for (int i = 0; i < rows; i++) {
            problem.dense().readRow(i, row, 0);
            teacher[i] = dot(row, h) + (problem.bias() == null ? 0 : problem.bias()[i]);
            double[] operand = left[i] == null ? h : z[plan(i).basis()];
            student[i] = dot(decodedLeft[i], operand) + storedBias[i];
        }
        double teacherSum = logSumExp(teacher);
        double studentSum = logSumExp(student);
        double kl = 0;
        for (int i = 0; i < rows; i++) {
            double logP = teacher[i] - teacherSum;
            kl += Math.exp(logP) * (logP - (student[i] - studentSum));
        }
        return kl;
    }

    /** Over the length of {@code a}. */
    private static double dot(float[] a, double[] b) {
        double sum = 0;
        for (int j = 0; j < a.length; j++) {
            sum += a[j] * b[j];
        }
        return sum;
    }

    private static double logSumExp(double[] logits) {
        double max = Double.NEGATIVE_INFINITY;
        for (double z : logits) {
            max = Math.max(max, z);
        }
        double sum = 0;
        for (double z : logits) {
            sum += Math.exp(z - max);
        }
        return max + Math.log(sum);
    }

    @Override
    public CompressedMatrix snapshot(Arena target) {
        CompressedMatrix now =
                new CompressedMatrix(start.name(), columns, start.groupOf(), start.groups(), storedLeft, storedRight);
        if (problem.trainBias()) {
            now = now.withBias(storedBias);
        }
        return now.copyTo(target);
    }

    @Override
    public void close() {
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }

    /** Numbers that move together, and what Adam remembers of their gradients. */
    private static final class Trained {
        private final double[] values;
        private final double[] first;
        private final double[] second;
        private final double size;

        Trained(double[] values, double size) {
            this.values = values;
            this.size = size;
            first = new double[values.length];
            second = new double[values.length];
        }

        /** Steps are relative to the root mean square of what is given here. */
        static Trained of(float[] start) {
            double[] values = new double[start.length];
            double squares = 0;
            for (int k = 0; k < start.length; k++) {
                values[k] = start[k];
                squares += values[k] * values[k];
            }
            return new Trained(values, Math.sqrt(squares / Math.max(1, start.length)));
        }

        float[] floats() {
            float[] rounded = new float[values.length];
            for (int k = 0; k < values.length; k++) {
                rounded[k] = (float) values[k];
            }
            return rounded;
        }

        void step(double[] gradient, double rate, int step) {
            for (int k = 0; k < values.length; k++) {
                first[k] = 0.9 * first[k] + 0.1 * gradient[k];
                second[k] = 0.99 * second[k] + 0.01 * gradient[k] * gradient[k];
                double m = first[k] / (1 - Math.pow(0.9, step));
                double v = second[k] / (1 - Math.pow(0.99, step));
                values[k] -= rate * size * m / (Math.sqrt(v) + 1e-12);
            }
        }
    }
}
