package io.groupreduce.cli.report;

import io.groupreduce.GroupReduce;
import io.groupreduce.api.Backend;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.CompressionSummary;
import io.groupreduce.api.ErrorCurve;
import io.groupreduce.api.Estimate;
import io.groupreduce.api.Evaluation;
import io.groupreduce.api.Method;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.Spectrum;
import io.groupreduce.testkit.Generators;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Small real compressions, and odd ones put together by hand. */
final class Samples {
    static final String TENSOR = "lm_head.weight";
    static final Evaluation EVALUATED = evaluation(100, 20.25, 21.0, 0.03125, 0.875, 0.9375);
    static final Evaluation WITHOUT_TARGETS = evaluation(100, Double.NaN, Double.NaN, 0.03125, 0.875, 0.9375);

    private static final int ROWS = 400;
    private static final int COLUMNS = 24;

    private Samples() {}

    /** Figures of a softmax, all but one with an interval. */
    static Evaluation evaluation(int tokens, double dense, double compressed, double kl, double top1, double top10) {
        double rise = Math.log(compressed / dense);
        return new Evaluation(
                tokens,
                Estimate.exact(Math.log(dense)),
                Estimate.exact(Math.log(compressed)),
                new Estimate(rise, rise - 0.01, rise + 0.01),
                new Estimate(kl, kl / 2, 2 * kl),
                new Estimate(top1, top1 - 0.05, top1 + 0.05),
                new Estimate(top10, Double.NaN, Double.NaN));
    }

    /** A compression whose factors are gone, as they are when a report is written. */
    static CompressionResult compressed(Method method, Codec codec) {
        return compressed(method, codec, 8);
    }

    static CompressionResult compressed(Method method, Codec codec, double ratio) {
        Matrix matrix = Generators.matrix(11, ROWS, COLUMNS, 0.8);
        CompressionOptions options = CompressionOptions.defaults()
                .withMethod(method)
                .withCodec(codec)
                .withRefineRounds(3)
                .withTarget(SizeTarget.ratio(ratio));
        try (Backend backend = new ReferenceBackend();
                Arena arena = Arena.ofShared()) {
            return GroupReduce.compress(
                    backend, matrix, Generators.zipf(12, ROWS, 1e5), null, options, arena, Progress.NONE);
        }
    }

    /** By rate-distortion, which chooses the codecs, then calibrated on a few hidden states. */
    static CompressionResult rateDistortion() {
        Matrix matrix = Generators.matrix(11, ROWS, COLUMNS, 0.8);
        Matrix hidden = Generators.matrix(13, 60, COLUMNS, 0.3);
        CompressionOptions options =
                CompressionOptions.defaults().withAlpha(0.5).withCalibrationEpochs(2);
        try (Backend backend = new ReferenceBackend();
                Arena arena = Arena.ofShared()) {
            return GroupReduce.compress(
                    backend,
                    matrix,
                    Generators.zipf(12, ROWS, 1e5),
                    null,
                    new SoftmaxData(hidden, null, null),
                    options,
                    arena,
                    Progress.NONE);
        }
    }

    /** Rises of every size: nothing, less than nothing, and without bound. */
    static LossFigure losses() {
        double[] ratios = {4, 8, 16};
        return new LossFigure(
                List.of(
                        new LossFigure.Curve(Method.SVD, ratios, new double[] {0.5, 90, Double.POSITIVE_INFINITY}),
                        new LossFigure.Curve(Method.RATE_DISTORTION, ratios, new double[] {-0.01, 0, 0.02}),
                        new LossFigure.Curve(Method.GROUPREDUCE, new double[0], new double[0])),
                6.6,
                0.004);
    }

    static List<ErrorCurve> curves(CompressionOptions settled) {
        Matrix matrix = Generators.matrix(11, ROWS, COLUMNS, 0.8);
        List<ErrorCurve> curves = new ArrayList<>();
        try (Backend backend = new ReferenceBackend()) {
            for (Method method : List.of(Method.SVD, Method.GROUPREDUCE)) {
                curves.add(GroupReduce.errorCurve(
                        backend, matrix, Generators.zipf(12, ROWS, 1e5), settled.withMethod(method), new double[] {
                            2, 4, 8
                        }));
            }
        }
        return curves;
    }

    /** {@code groups} low-rank groups of {@code g + 1} rows on one shared basis, then a dense and a zero group of one row. */
    static CompressionResult sharedBasis(int groups) {
        int rank = 2;
        Arena arena = Arena.ofAuto();
        List<GroupPlan> plans = new ArrayList<>();
        List<EncodedMatrix> left = new ArrayList<>();
        int rows = groups * (groups + 1) / 2 + 2;
        byte[] groupOf = new byte[rows];
        int next = 0;
        for (int g = 0; g < groups; g++) {
            plans.add(GroupPlan.of(0, rank, Codec.INT4));
            left.add(EncodedMatrix.allocate(arena, BitProfile.of(Codec.INT4, rank), g + 1, rank));
            for (int i = 0; i <= g; i++) {
                groupOf[next++] = (byte) g;
            }
        }
        plans.add(GroupPlan.dense(COLUMNS, Codec.INT8));
        left.add(EncodedMatrix.allocate(arena, BitProfile.of(Codec.INT8, COLUMNS), 1, COLUMNS));
        groupOf[next++] = (byte) groups;
        plans.add(GroupPlan.zero());
        left.add(null);
        groupOf[next] = (byte) (groups + 1);
        List<EncodedMatrix> right =
                List.of(EncodedMatrix.allocate(arena, BitProfile.of(Codec.BF16, COLUMNS), rank, COLUMNS));
        CompressedMatrix matrix = new CompressedMatrix("compressed", COLUMNS, groupOf, plans, left, right);
        return new CompressionResult(
                matrix,
                CompressionSummary.of(
                        Matrix.of("source", new float[rows * COLUMNS], rows, COLUMNS),
                        matrix.bytes(),
                        CompressionOptions.paper().withCodec(Codec.INT4),
                        false,
                        4,
                        1,
                        0.5,
                        List.of(new Spectrum(10, new double[] {6, 3})),
                        List.of(1.0),
                        null));
    }

    static NamedResult named(String tensor, CompressionResult result) {
        return new NamedResult(result.matrix().named(tensor), result.summary());
    }

    static ReportData report(List<NamedResult> results, Map<String, Evaluation> evaluations) {
        return new ReportData(
                "Report",
                "in",
                "out",
                "cpu",
                1.5,
                results,
                evaluations,
                false,
                Map.of(),
                Map.of(),
                Map.of(),
                List.of());
    }

    static ReportData report(CompressionResult result, Evaluation evaluation) {
        return report(List.of(named(TENSOR, result)), evaluation == null ? Map.of() : Map.of(TENSOR, evaluation));
    }
}
