package io.groupreduce.models.export;

import io.groupreduce.internal.linear.DenseAlgebra;
import io.groupreduce.internal.linear.Parallel;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import java.util.Random;

/** Hidden states that an output layer is judged on. */
final class HeadStates {
    /** The most states. */
    private static final int MOST = 256;

    /** Logits of all states together, which limits how many there are. */
    private static final int LOGITS = 1 << 24;

    private static final int LEAST = 8;

    private static final long SEED = 1;

    /** Of the mean of the diagonal: directions that depend on others do no harm. */
    private static final double RIDGE = 1e-6;

    private HeadStates() {}

    private static int count(int rows) {
        return Math.clamp(LOGITS / rows, LEAST, MOST);
    }

    /** Given states at equal distances, as many as can be looked at: count x D. */
    static float[] of(Matrix hidden, int rows) {
        int count = Math.min(count(rows), hidden.rows());
        float[] states = new float[count * hidden.columns()];
        for (int t = 0; t < count; t++) {
            hidden.readRow((long) t * hidden.rows() / count, states, t * hidden.columns());
        }
        return states;
    }

    /**
     * Random states with about the second moment that the matrix was compressed under, count x D. A right factor is {@code diag(sigma) V^T S^-1}, so the
     * states {@code h = R^+ (sigma n)} of normal n have E[h h^T] = S S; sigma follows from the bits of directions.
     */
    static float[] of(CompressedMatrix matrix, Parallel threads) {
        int count = count(matrix.rows());
        int columns = matrix.columns();
        Random random = new Random(SEED);
        float[] states = new float[count * columns];
        if (matrix.bases() == 0) {
            for (int i = 0; i < states.length; i++) {
                states[i] = (float) random.nextGaussian();
            }
            return states;
        }
        float[] right = matrix.decodedRight(0);
        int rank = right.length / columns;
        double[] wide = new double[right.length];
        for (int i = 0; i < wide.length; i++) {
            wide[i] = right[i];
        }
        DenseAlgebra algebra = new DenseAlgebra(threads);
        double[] gram = algebra.outer(wide, rank, columns);
        double trace = 0;
        for (int k = 0; k < rank; k++) {
            trace += gram[k * rank + k];
        }
        for (int k = 0; k < rank; k++) {
            gram[k * rank + k] += RIDGE * trace / rank;
        }
        algebra.cholesky(gram, rank);
        double[] deviations = deviations(matrix, rank);
        double[] wanted = new double[rank * count];
        for (int t = 0; t < count; t++) {
            for (int k = 0; k < rank; k++) {
                wanted[k * count + t] = deviations[k] * random.nextGaussian();
            }
        }
        algebra.forward(gram, rank, wanted, count);
        algebra.backward(gram, rank, wanted, count);
        for (int t = 0; t < count; t++) {
            for (int k = 0; k < rank; k++) {
                for (int j = 0; j < columns; j++) {
                    states[t * columns + j] += (float) (wanted[k * count + t] * wide[k * columns + j]);
                }
            }
        }
        return states;
    }

    /** By direction of the first basis, the inverse of the steps of its codes: the mean of all rows. */
    private static double[] deviations(CompressedMatrix matrix, int rank) {
        double[] logs = new double[rank];
        int[] sizes = matrix.groupSizes();
        long rows = 0;
        for (int g = 0; g < sizes.length; g++) {
            GroupPlan plan = matrix.groups().get(g);
            if (plan.basis() == 0) {
                rows += sizes[g];
                float[] halves = RankClasses.halves(plan, rank);
                for (int k = 0; k < rank; k++) {
                    logs[k] -= sizes[g] * Math.log(halves[k]);
                }
            }
        }
        for (int k = 0; k < rank; k++) {
            logs[k] = Math.exp(logs[k] / Math.max(1, rows));
        }
        return logs;
    }
}
