package io.groupreduce.compress;

import io.groupreduce.CompressionOptions;
import io.groupreduce.Matrix;
import io.groupreduce.Method;
import io.groupreduce.SizeTarget;
import io.groupreduce.UnreachableTargetException;
import io.groupreduce.backend.Backend;
import io.groupreduce.backend.CompressionProblem;
import io.groupreduce.backend.CompressionWorkspace;
import io.groupreduce.backend.Spectrum;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The weighted relative error of a method against the size ratio, before refinement. All methods are measured under the same
 * frequency weights, so that their curves can be compared.
 *
 * @param method the method
 * @param ratios source bytes / compressed bytes
 * @param relativeErrors sqrt(loss / energy)
 */
public record ErrorCurve(Method method, double[] ratios, double[] relativeErrors) {
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
        int groups = method.grouped() ? options.groups() : 1;
        double[] raw = Weights.raw(counts, options.alpha());
        double[] minimised = method.weighted() ? raw : Weights.raw(counts, 0);
        byte[] groupOf = method.grouped() ? EqualMassGroups.of(counts, groups) : new byte[matrix.rows()];
        int[] ranks = new int[groups];
        Arrays.fill(ranks, matrix.columns());
        List<Double> reached = new ArrayList<>();
        List<Double> errors = new ArrayList<>();
        try (CompressionWorkspace workspace = open(backend, matrix, minimised);
                CompressionWorkspace measure = open(backend, matrix, raw)) {
            List<Spectrum> spectra = new Grouping(groupOf, ranks).decompose(workspace);
            double energy = measure.energy();
            for (double ratio : ratios) {
                CompressionOptions at = Compression.settle(options.withTarget(SizeTarget.ratio(ratio)), matrix);
                Grouping grouping;
                try {
                    grouping = Grouping.of(groupOf, groups, minimised, Compression.rule(matrix, at));
                } catch (UnreachableTargetException e) {
                    break;
                }
                double loss = method.weighted()
                        ? grouping.loss(spectra)
                        : measured(workspace, measure, matrix, grouping, spectra, at);
                reached.add(ratio);
                errors.add(energy == 0 ? 0 : Math.sqrt(loss / energy));
            }
        }
        return new ErrorCurve(
                method,
                reached.stream().mapToDouble(Double::doubleValue).toArray(),
                errors.stream().mapToDouble(Double::doubleValue).toArray());
    }

    private static CompressionWorkspace open(Backend backend, Matrix matrix, double[] raw) {
        return backend.open(CompressionProblem.weighted(matrix, Weights.scaledToMeanOne(raw)));
    }

    /** The spectra of unweighted bases say nothing about the weighted loss, so it is measured on the factors. */
    private static double measured(
            CompressionWorkspace workspace,
            CompressionWorkspace measure,
            Matrix matrix,
            Grouping grouping,
            List<Spectrum> spectra,
            CompressionOptions options) {
        try (Arena arena = Arena.ofShared()) {
            SizeModel model = Compression.model(matrix, options);
            return measure.loss(Factorization.run(workspace, matrix, grouping, spectra, model, arena));
        }
    }
}
