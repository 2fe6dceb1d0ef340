package io.groupreduce.internal.compress;

import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.ErrorCurve;
import io.groupreduce.api.Method;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.error.UnreachableTargetException;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.Spectrum;
import io.groupreduce.spi.Backend;
import io.groupreduce.spi.Candidate;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.CompressionWorkspace;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Errors of the paper's methods at many sizes, from one decomposition each. */
public final class ErrorCurves {
    private ErrorCurves() {}

    /**
     * The curve of one method, from one decomposition.
     *
     * @param counts how often each token occurs, length N
     * @param options what the curve is for; its target does not matter
     * @param ratios the ratios asked for, rising; the curve ends where one is out of reach
     */
    public static ErrorCurve of(
            Backend backend, Matrix matrix, long[] counts, CompressionOptions options, double[] ratios) {
        Method method = options.method();
        int groups = method.grouped() ? options.groups().orElse(Compression.PAPER_GROUPS) : 1;
        double[] minimised =
                Weights.raw(counts, method.weighted() ? options.alpha().orElse(1) : 0);
        float[] weights =
                Weights.scaledToMeanOne(Weights.raw(counts, options.alpha().orElse(1)));
        byte[] groupOf = method.grouped() ? EqualMassGroups.of(counts, groups) : new byte[matrix.rows()];
        List<Double> reached = new ArrayList<>();
        List<Grouping> groupings = new ArrayList<>();
        int[] longest = new int[groups];
        for (double ratio : ratios) {
            CompressionOptions at = Compression.settle(options.withTarget(SizeTarget.ratio(ratio)), matrix);
            try {
                Grouping grouping = Grouping.of(groupOf, groups, minimised, Compression.rule(matrix, at));
                Arrays.setAll(longest, g -> Math.max(longest[g], grouping.ranks()[g]));
                groupings.add(grouping);
                reached.add(ratio);
            } catch (UnreachableTargetException e) {
                break;
            }
        }
        CompressionProblem problem = CompressionProblem.weighted(matrix, Weights.scaledToMeanOne(minimised));
        try (CompressionWorkspace workspace = backend.open(problem)) {
            List<Spectrum> spectra = new Grouping(groupOf, longest).decompose(workspace);
            double energy = method.weighted() ? workspace.energy() : residual(workspace, weights, 0);
            double[] errors = groupings.stream()
                    .mapToDouble(grouping -> method.weighted()
                            ? grouping.loss(spectra)
                            : residual(workspace, weights, grouping.ranks()[0]))
                    .map(loss -> energy == 0 ? 0 : Math.sqrt(loss / energy))
                    .toArray();
            return new ErrorCurve(
                    method, reached.stream().mapToDouble(Double::doubleValue).toArray(), errors);
        }
    }

    /**
     * The loss of all rows at a rank of the one unweighted basis, under other weights than its own: what every row would gain
     * if it were dense.
     */
    private static double residual(CompressionWorkspace workspace, float[] weights, int rank) {
        if (rank == RankAllocation.DENSE) {
            return 0;
        }
        byte[] best = new byte[weights.length];
        float[] gain = new float[weights.length];
        workspace.assign(List.of(new Candidate(0, rank, 0), Candidate.dense(0)), new byte[weights.length], best, gain);
        double sum = 0;
        for (int i = 0; i < gain.length; i++) {
            sum += (double) weights[i] * gain[i];
        }
        return sum;
    }
}
