package io.groupreduce.cli;

import io.groupreduce.CompressionOptions;
import io.groupreduce.Evaluation;
import io.groupreduce.Matrix;
import io.groupreduce.Method;
import io.groupreduce.backend.Backend;
import io.groupreduce.cli.report.MethodRow;
import io.groupreduce.cli.report.NamedResult;
import io.groupreduce.cli.report.ReportData;
import io.groupreduce.compress.CompressionResult;
import io.groupreduce.compress.ErrorCurve;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.CountsFile;
import io.groupreduce.format.Model;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Gathers what a report shows beside the results: the error of each method against size. */
final class ReportBuilder {
    private static final double[] RATIOS = {2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64};

    private final Backend backend;
    private final Model model;
    private final Path counts;

    /** {@code counts} may be {@code null}. */
    ReportBuilder(Backend backend, Model model, Path counts) {
        this.backend = backend;
        this.model = model;
        this.counts = counts;
    }

    /** Results under the names they have in the file that was written from them; both are in the same order. */
    static List<NamedResult> named(List<CompressionResult> finished, CompressedFile written) {
        List<String> names = List.copyOf(written.matrices().keySet());
        List<NamedResult> results = new ArrayList<>();
        for (int r = 0; r < finished.size(); r++) {
            results.add(new NamedResult(names.get(r), finished.get(r)));
        }
        return results;
    }

    ReportData build(
            Path input,
            Path output,
            double seconds,
            List<NamedResult> results,
            Map<String, Evaluation> evaluations,
            List<MethodRow> comparison) {
        Map<String, List<ErrorCurve>> curves = new LinkedHashMap<>();
        for (NamedResult named : results) {
            curves.put(named.tensor(), curves(named));
        }
        return new ReportData(
                "GroupReduce: " + input.getFileName(),
                input.toString(),
                output.toString(),
                backend.description(),
                seconds,
                results,
                evaluations,
                curves,
                comparison);
    }

    private List<ErrorCurve> curves(NamedResult named) {
        CompressionOptions options = named.result().options();
        Matrix matrix = model.require(named.tensor())
                .matrix(model.fileOf(named.tensor()).toString());
        long[] perRow = counts == null ? new long[matrix.rows()] : CountsFile.read(counts, matrix.rows());
        List<ErrorCurve> curves = new ArrayList<>();
        for (Method method : Method.values()) {
            curves.add(ErrorCurve.of(backend, matrix, perRow, options.withMethod(method), RATIOS));
        }
        return curves;
    }
}
