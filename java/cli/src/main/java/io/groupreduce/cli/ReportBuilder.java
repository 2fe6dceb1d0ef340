package io.groupreduce.cli;

import io.groupreduce.GroupReduce;
import io.groupreduce.api.Backend;
import io.groupreduce.api.CompressionJob;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionSummary;
import io.groupreduce.api.ErrorCurve;
import io.groupreduce.api.Method;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.cli.report.LossFigure;
import io.groupreduce.cli.report.MethodRow;
import io.groupreduce.cli.report.NamedResult;
import io.groupreduce.cli.report.QueryTime;
import io.groupreduce.cli.report.ReportData;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.CountsFile;
import io.groupreduce.format.Model;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.OptionalInt;

/** Gathers what a report shows beside the results: error and loss of each method against size. */
final class ReportBuilder {
    private static final double[] RATIOS = {2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64};

    /** Whose error follows from one decomposition. */
    private static final List<Method> DECOMPOSED = List.of(Method.SVD, Method.WEIGHTED_SVD, Method.GROUPREDUCE);

    private static final List<Method> COMPARED = List.of(Method.SVD, Method.GROUPREDUCE, Method.RATE_DISTORTION);

    private final Backend backend;
    private final Model model;
    private final CompressionJob job;
    private final int threads;

    /** {@code threads} answer a query. */
    ReportBuilder(Backend backend, Model model, CompressionJob job, int threads) {
        this.backend = backend;
        this.model = model;
        this.job = job;
        this.threads = threads;
    }

    /** Results under the names they have in the file that was written from them, where they come first and in this order. */
    static List<NamedResult> named(List<CompressionSummary> finished, CompressedFile written) {
        List<CompressedMatrix> matrices = List.copyOf(written.matrices().values());
        List<NamedResult> results = new ArrayList<>();
        for (int r = 0; r < finished.size(); r++) {
            results.add(new NamedResult(matrices.get(r), finished.get(r)));
        }
        return results;
    }

    /** {@code judgement} may be {@code null}, {@code comparison} empty. */
    ReportData build(
            CompressedFile written,
            double seconds,
            List<NamedResult> results,
            Judgement judgement,
            List<MethodRow> comparison) {
        Map<String, List<ErrorCurve>> curves = new LinkedHashMap<>();
        Map<String, LossFigure> losses = new LinkedHashMap<>();
        Map<String, QueryTime> queries = new LinkedHashMap<>();
        for (NamedResult named : results) {
            Matrix matrix = model.matrix(named.tensor());
            Path file = job.countsOf(named.tensor());
            long[] counts = file == null ? new long[matrix.rows()] : CountsFile.read(file, matrix.rows());
            curves.put(named.tensor(), curves(matrix, counts));
            if (model.servesAsOutput(named.tensor())) {
                float[] bias = model.bias(model.logits(named.tensor()));
                queries.put(named.tensor(), QueryBench.of(backend, named.matrix(), bias, threads));
            }
            if (judgement != null && judgement.tensor().equals(named.tensor()) && hasLosses(named, matrix, judgement)) {
                losses.put(named.tensor(), losses(named, matrix, counts, judgement, written));
            }
        }
        return new ReportData(
                "GroupReduce: " + job.input().getFileName(),
                job.input().toString(),
                job.output().toString(),
                backend.description(),
                seconds,
                results,
                judgement == null ? Map.of() : Map.of(judgement.tensor(), judgement.evaluation()),
                judgement != null && judgement.fittedToHidden(),
                curves,
                losses,
                queries,
                comparison);
    }

    private List<ErrorCurve> curves(Matrix matrix, long[] counts) {
        List<ErrorCurve> curves = new ArrayList<>();
        for (Method method : DECOMPOSED) {
            CompressionOptions options = by(method, job.options().alpha());
            curves.add(GroupReduce.errorCurve(backend, matrix, counts, options, RATIOS));
        }
        return curves;
    }

    /** A metric of its own would have to be read and combined again for every point. */
    private boolean hasLosses(NamedResult named, Matrix matrix, Judgement judgement) {
        return judgement.evaluation().hasPerplexity()
                && LossCurves.areQuick(matrix)
                && !job.metrics().containsKey(named.tensor());
    }

    private LossFigure losses(
            NamedResult named, Matrix matrix, long[] counts, Judgement judgement, CompressedFile written) {
        CompressionOptions own = named.result().options();
        List<CompressionOptions> methods = new ArrayList<>();
        for (Method method : COMPARED) {
            // The search for an exponent and for the number of bases would take most of the time.
            CompressionOptions options =
                    by(method, OptionalDouble.of(own.alpha().orElse(1))).withRefineRounds(0);
            boolean known = method == Method.RATE_DISTORTION
                    && own.method() == method
                    && own.groups().isPresent();
            methods.add(known ? options.withGroups(own.groups().getAsInt()) : options);
        }
        SoftmaxData known = model.softmax(named.tensor(), judgement.known());
        SoftmaxData judged = model.softmax(named.tensor(), judgement.judged());
        return new LossCurves(backend, matrix, counts, known, judged)
                .of(methods, written.require(named.tensor()), named.result().ratio());
    }

    /** What was asked for, by another method, as far as that knows it: groups are another thing to each. */
    private CompressionOptions by(Method method, OptionalDouble alpha) {
        CompressionOptions asked = job.options();
        return new CompressionOptions(
                method,
                asked.target(),
                OptionalDouble.empty(),
                asked.codec(),
                asked.rightCodec(),
                method == asked.method() ? asked.groups() : OptionalInt.empty(),
                alpha,
                asked.minRank(),
                asked.refineRounds(),
                asked.timePrice(),
                false,
                0);
    }
}
