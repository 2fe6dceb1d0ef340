package io.groupreduce.internal.compress;

import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.ErrorCurve;
import io.groupreduce.api.Method;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.error.UnreachableTargetException;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.Spectrum;
import io.groupreduce.spi.Candidate;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.ComputeBackend;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** Errors of the paper's methods at many sizes, from one decomposition each. */
public final class ErrorCurves {
    private ErrorCurves() {}

    /**
     * The curve of one method, from one decomposition.
     *
     * @param counts how often each token occurs, length N
     * @param options what the curve is for; of its target only the unit matters, which decides a codec left open
     * @param ratios the ratios asked for, rising; the curve ends where one is out of reach
     */
    public static ErrorCurve of(
            ComputeBackend backend, Matrix matrix, long[] counts, CompressionOptions options, double[] ratios) {
        Method method = options.method();
        CompressionTask asked = new CompressionTask(backend, matrix, counts, null, null, options);
        CompressionTask task = asked.withOptions(PaperMethod.withCodecs(asked));
        byte[] groupOf = method.grouped()
                ? EqualMassGroups.of(counts, options.groups().orElse(PaperMethod.GROUPS))
                : new byte[matrix.rows()];
        List<Double> reached = new ArrayList<>();
        List<Grouping> groupings = new ArrayList<>();
        for (double ratio : ratios) {
            CompressionTask at = task.withOptions(task.options().withTarget(SizeTarget.ratio(ratio)));
            try {
                groupings.add(method.grouped() ? new PaperMethod(at).ranked(groupOf) : new TruncatedSvd(at).start());
                reached.add(ratio);
            } catch (UnreachableTargetException e) {
                break;
            }
        }
        double exponent = method.weighted() ? options.alpha().orElse(1) : 0;
        try (CompressionWorkspace workspace = task.open(Weights.raw(counts, exponent))) {
            List<Spectrum> spectra = new Grouping(groupOf, longest(groupings)).decompose(workspace);
            // Times the weights of the bases: counts, which are what errors are measured under.
            double[] missing = exponent == 1 ? null : Weights.raw(counts, 1 - exponent);
            double energy = missing == null
                    ? workspace.energy()
                    : residual(workspace, missing, List.of(new Candidate(0, 0, 0)), new byte[matrix.rows()]);
            double[] errors = groupings.stream()
                    .mapToDouble(grouping -> missing == null
                            ? grouping.loss(spectra)
                            : residual(workspace, missing, grouping.candidates(), groupOf))
                    .map(loss -> energy == 0 ? 0 : Math.sqrt(loss / energy))
                    .toArray();
            return new ErrorCurve(
                    method, reached.stream().mapToDouble(Double::doubleValue).toArray(), errors);
        }
    }

    /** Per group, the plan with most directions to find; dense where it is dense at every ratio. */
    private static List<GroupPlan> longest(List<Grouping> groupings) {
        List<GroupPlan> longest = new ArrayList<>();
        for (int g = 0; !groupings.isEmpty() && g < groupings.get(0).groups(); g++) {
            int group = g;
            List<GroupPlan> plans =
                    groupings.stream().map(at -> at.plans().get(group)).toList();
            longest.add(plans.stream()
                    .filter(plan -> !plan.isDense())
                    .max(Comparator.comparingInt(GroupPlan::rank))
                    .orElse(plans.get(0)));
        }
        return longest;
    }

    /** The loss under the workspace's weights times {@code missing}: what every row would gain if it were dense. */
    private static double residual(
            CompressionWorkspace workspace, double[] missing, List<Candidate> candidates, byte[] current) {
        List<Candidate> orDense = new ArrayList<>(candidates);
        orDense.add(Candidate.dense(0));
        byte[] best = new byte[missing.length];
        float[] gain = new float[missing.length];
        workspace.assign(orDense, current, best, gain);
        double sum = 0;
        for (int i = 0; i < gain.length; i++) {
            sum += missing[i] * gain[i];
        }
        return sum;
    }
}
