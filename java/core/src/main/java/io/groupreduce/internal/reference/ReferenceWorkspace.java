package io.groupreduce.internal.reference;

import io.groupreduce.internal.linear.SymmetricEigen;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.Spectrum;
import io.groupreduce.spi.Candidate;
import io.groupreduce.spi.Choice;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.Directions;
import io.groupreduce.spi.Loss;
import io.groupreduce.spi.NormalEquations;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * The steps of a compression as the design writes them. With B = A S and V_b the leading eigenvectors of G_b = sum_i w_i
 * B_i^T B_i: left = B V, right = V^T S^-1.
 */
final class ReferenceWorkspace implements CompressionWorkspace {
    private final Matrix matrix;
    private final float[] weights;
    private final float[] countWeights;
    private final double[] root;
    private final double[] rootInverse;
    private final int rows;
    private final int columns;
    private final float[] row;
    private double[][] gram = {};
    /** Per basis, the leading eigenvectors as rows: k x D. */
    private double[][] vectors = {};
    /** Per row and plan, what {@link #rate} found. */
    private double[][] distortions = {};

    ReferenceWorkspace(CompressionProblem problem) {
        this.matrix = problem.matrix();
        this.weights = problem.weights();
        this.countWeights = problem.countWeights();
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
            if (b == GroupPlan.DENSE) {
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
    public Directions directions(int basis, int rank) {
        float[] projection = new float[rank * columns];
        float[] right = new float[rank * columns];
        for (int k = 0; k < rank; k++) {
            double[] direction = Arrays.copyOfRange(vectors[basis], k * columns, (k + 1) * columns);
            double[] forward = root == null ? direction : times(direction, root);
            double[] back = rootInverse == null ? direction : times(direction, rootInverse);
            for (int j = 0; j < columns; j++) {
                projection[k * columns + j] = (float) forward[j];
                right[k * columns + j] = (float) back[j];
            }
        }
        return new Directions(rank, projection, right, null);
    }

    @Override
    public void rate(List<Directions> bases, List<GroupPlan> plans) {
        distortions = new ReferenceRating(matrix, weights, root).of(bases, plans, i -> squaredNorm(transformed(i)));
    }

    @Override
    public Choice choose(double price, double[] bytes, byte[] groupOf) {
        long[] counts = new long[bytes.length];
        double[] sums = new double[bytes.length];
        int[] open = IntStream.range(0, bytes.length)
                .filter(p -> bytes[p] < Double.POSITIVE_INFINITY)
                .toArray();
        for (int i = 0; i < rows; i++) {
            int least = open[0];
            double objective = Double.POSITIVE_INFINITY;
            for (int p : open) {
                double other = distortions[i][p] + price * bytes[p];
                if (other < objective) {
                    least = p;
                    objective = other;
                }
            }
            groupOf[i] = (byte) least;
            counts[least]++;
            sums[least] += distortions[i][least];
        }
        return new Choice(sums, counts);
    }

    @Override
    public void encodeLeft(byte[] groupOf, List<GroupPlan> groups, List<Directions> bases, List<EncodedMatrix> left) {
        long[] next = new long[groups.size()];
        for (int i = 0; i < rows; i++) {
            int g = groupOf[i] & 0xff;
            GroupPlan plan = groups.get(g);
            if (plan.isZero()) {
                continue;
            }
            float[] stored = new float[plan.rank()];
            float[] errorWeights = null;
            matrix.readRow(i, row, 0);
            if (plan.isDense()) {
                System.arraycopy(row, 0, stored, 0, columns);
            } else {
                Directions basis = bases.get(plan.basis());
                errorWeights = basis.scales() == null ? null : new float[plan.rank()];
                for (int k = 0; k < plan.rank(); k++) {
                    double scale = basis.scales() == null ? 1 : basis.scales()[k];
                    stored[k] = (float) (scale * product(basis.projection(), k, row));
                    if (errorWeights != null) {
                        errorWeights[k] = (float) (1 / (scale * scale));
                    }
                }
            }
            left.get(g).encodeRow(next[g]++, stored, 0, errorWeights);
        }
    }

    @Override
    public List<NormalEquations> normalEquations(
            byte[] groupOf, List<GroupPlan> groups, int[] ranks, List<EncodedMatrix> left) {
        List<NormalEquations> equations = new ArrayList<>();
        for (int rank : ranks) {
            equations.add(new NormalEquations(rank, new double[rank * rank], new double[rank * columns]));
        }
        long[] next = new long[groups.size()];
        for (int i = 0; i < rows; i++) {
            int g = groupOf[i] & 0xff;
            GroupPlan plan = groups.get(g);
            if (!plan.isLowRank()) {
                continue;
            }
            float[] l = new float[plan.rank()];
            left.get(g).decodeRow(next[g]++, l, 0);
            matrix.readRow(i, row, 0);
            NormalEquations of = equations.get(plan.basis());
            for (int k = 0; k < l.length; k++) {
                double factor = (double) weights[i] * l[k];
                for (int m = 0; m < l.length; m++) {
                    of.gram()[k * of.rank() + m] += factor * l[m];
                }
                for (int j = 0; j < columns; j++) {
                    of.cross()[k * columns + j] += factor * row[j];
                }
            }
        }
        return equations;
    }

    @Override
    public Loss loss(CompressedMatrix approximation) {
        double weighted = 0;
        double counted = 0;
        double energy = 0;
        float[] decoded = new float[columns];
        double[] difference = new double[columns];
        for (int i = 0; i < rows; i++) {
            matrix.readRow(i, row, 0);
            approximation.decodeRows(i, 1, decoded, 0);
            for (int j = 0; j < columns; j++) {
                difference[j] = (double) row[j] - decoded[j];
                energy += (double) countWeights[i] * row[j] * row[j];
            }
            counted += countWeights[i] * squaredNorm(difference);
            weighted += weights[i] * squaredNorm(root == null ? difference : times(difference, root));
        }
        return new Loss(weighted, counted, energy);
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

    /** Row k of {@code factor}, k x D, times {@code values}. */
    static double product(float[] factor, int k, float[] values) {
        double sum = 0;
        for (int j = 0; j < values.length; j++) {
            sum += (double) factor[k * values.length + j] * values[j];
        }
        return sum;
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
