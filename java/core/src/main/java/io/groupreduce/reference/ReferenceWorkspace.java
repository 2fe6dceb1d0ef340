package io.groupreduce.reference;

import io.groupreduce.CompressedMatrix;
import io.groupreduce.EncodedMatrix;
import io.groupreduce.Matrix;
import io.groupreduce.backend.Candidate;
import io.groupreduce.backend.CompressionProblem;
import io.groupreduce.backend.CompressionWorkspace;
import io.groupreduce.backend.GroupPlan;
import io.groupreduce.backend.Spectrum;
import io.groupreduce.backend.SymmetricEigen;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The steps of a compression as the design writes them. With B = A S and V_b the leading eigenvectors of G_b = sum_i w_i
 * B_i^T B_i: left = B V, right = V^T S^-1.
 */
final class ReferenceWorkspace implements CompressionWorkspace {
    private final Matrix matrix;
    private final float[] weights;
    private final double[] root;
    private final double[] rootInverse;
    private final int rows;
    private final int columns;
    private final float[] row;
    private double[][] gram = {};
    /** Per basis, the leading eigenvectors as rows: k x D. */
    private double[][] vectors = {};

    ReferenceWorkspace(CompressionProblem problem) {
        this.matrix = problem.matrix();
        this.weights = problem.weights();
        this.root = problem.metricRoot();
        this.rootInverse = problem.metricRootInverse();
        this.rows = matrix.rows();
        this.columns = matrix.columns();
        this.row = new float[columns];
    }

    @Override
    public double energy() {
        double sum = 0;
        for (int i = 0; i < rows; i++) {
            sum += weights[i] * squaredNorm(transformed(i));
        }
        return sum;
    }

    @Override
    public void accumulate(byte[] basisOf, int bases) {
        gram = new double[bases][columns * columns];
        for (int i = 0; i < rows; i++) {
            int b = basisOf[i] & 0xff;
            if (b == NO_BASIS) {
                continue;
            }
            double[] x = transformed(i);
            for (int r = 0; r < columns; r++) {
                for (int c = 0; c < columns; c++) {
                    gram[b][r * columns + c] += weights[i] * x[r] * x[c];
                }
            }
        }
    }

    @Override
    public List<Spectrum> decompose(int[] ranks) {
        List<Spectrum> spectra = new ArrayList<>();
        vectors = new double[gram.length][];
        for (int b = 0; b < gram.length; b++) {
            double trace = 0;
            for (int j = 0; j < columns; j++) {
                trace += gram[b][j * columns + j];
            }
            double[] values = new double[ranks[b]];
            vectors[b] = new double[0];
            if (ranks[b] > 0) {
                SymmetricEigen eigen = SymmetricEigen.of(gram[b], columns);
                Arrays.setAll(values, j -> Math.max(0, eigen.values()[j]));
                vectors[b] = Arrays.copyOf(eigen.vectors(), ranks[b] * columns);
            }
            spectra.add(new Spectrum(trace, values));
        }
        return spectra;
    }

    @Override
    public void assign(List<Candidate> candidates, byte[] current, byte[] best, float[] gain) {
        double[] objective = new double[candidates.size()];
        for (int i = 0; i < rows; i++) {
            double[] x = transformed(i);
            double energy = squaredNorm(x);
            int least = 0;
            for (int c = 0; c < objective.length; c++) {
                Candidate candidate = candidates.get(c);
                double residual = candidate.isDense() ? 0 : energy;
                for (int k = 0; k < candidate.rank(); k++) {
                    double coordinate = coordinate(x, candidate.basis(), k);
                    residual -= coordinate * coordinate;
                }
                objective[c] = weights[i] * Math.max(0, residual) + candidate.price();
                if (objective[c] < objective[least]) {
                    least = c;
                }
            }
            best[i] = (byte) least;
            gain[i] = (float) (objective[current[i] & 0xff] - objective[least]);
        }
    }

    @Override
    public float[] right(int basis, int rank) {
        float[] right = new float[rank * columns];
        for (int k = 0; k < rank; k++) {
            double[] direction = Arrays.copyOfRange(vectors[basis], k * columns, (k + 1) * columns);
            double[] mapped = rootInverse == null ? direction : times(direction, rootInverse);
            for (int j = 0; j < columns; j++) {
                right[k * columns + j] = (float) mapped[j];
            }
        }
        return right;
    }

    @Override
    public void encodeLeft(
            byte[] groupOf, List<GroupPlan> groups, List<float[]> columnScales, List<EncodedMatrix> left) {
        long[] next = new long[groups.size()];
        for (int i = 0; i < rows; i++) {
            int g = groupOf[i] & 0xff;
            GroupPlan plan = groups.get(g);
            if (plan.isZero()) {
                continue;
            }
            float[] stored = new float[plan.rank()];
            if (plan.isDense()) {
                matrix.readRow(i, stored, 0);
            } else {
                double[] x = transformed(i);
                float[] scales = columnScales.get(plan.basis());
                for (int k = 0; k < plan.rank(); k++) {
                    stored[k] = (float) (coordinate(x, plan.basis(), k) * (scales == null ? 1 : scales[k]));
                }
            }
            left.get(g).encodeRow(next[g]++, stored, 0);
        }
    }

    @Override
    public double loss(CompressedMatrix approximation) {
        double sum = 0;
        float[] decoded = new float[columns];
        double[] difference = new double[columns];
        for (int i = 0; i < rows; i++) {
            matrix.readRow(i, row, 0);
            approximation.decodeRows(i, 1, decoded, 0);
            for (int j = 0; j < columns; j++) {
                difference[j] = (double) row[j] - decoded[j];
            }
            sum += weights[i] * squaredNorm(root == null ? difference : times(difference, root));
        }
        return sum;
    }

    @Override
    public void close() {
        // holds nothing
    }

    /** B_i = A_i S. */
    private double[] transformed(int i) {
        matrix.readRow(i, row, 0);
        double[] x = new double[columns];
        for (int j = 0; j < columns; j++) {
            x[j] = row[j];
        }
        return root == null ? x : times(x, root);
    }

    private double[] times(double[] x, double[] square) {
        double[] y = new double[columns];
        for (int k = 0; k < columns; k++) {
            for (int j = 0; j < columns; j++) {
                y[j] += x[k] * square[k * columns + j];
            }
        }
        return y;
    }

    private double coordinate(double[] x, int basis, int k) {
        double sum = 0;
        for (int j = 0; j < columns; j++) {
            sum += x[j] * vectors[basis][k * columns + j];
        }
        return sum;
    }

    private static double squaredNorm(double[] x) {
        double sum = 0;
        for (double v : x) {
            sum += v * v;
        }
        return sum;
    }
}
