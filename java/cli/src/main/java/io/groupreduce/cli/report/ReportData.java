package io.groupreduce.cli.report;

import io.groupreduce.api.ErrorCurve;
import io.groupreduce.api.Evaluation;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * Everything a report tells. All texts are shown as they are, markup in them included.
 *
 * @param title the heading
 * @param input what was compressed
 * @param output what was written
 * @param device the backend's description
 * @param seconds wall-clock time of the compression
 * @param results the compressed tensors, in the order they are shown
 * @param evaluations by tensor name, the softmax comparison; tensors without one may be missing
 * @param fittedToHidden whether the compression was fitted to the hidden states of the evaluations
 * @param curves by tensor name, error against size ratio of several methods; tensors without them may be missing
 * @param losses by tensor name, loss increase against size ratio; tensors without them may be missing
 * @param queries by tensor name, how long a query takes; tensors that are no output are missing
 * @param comparison methods side by side; may be empty
 */
public record ReportData(
        String title,
        String input,
        String output,
        String device,
        double seconds,
        List<NamedResult> results,
        Map<String, Evaluation> evaluations,
        boolean fittedToHidden,
        Map<String, List<ErrorCurve>> curves,
        Map<String, LossFigure> losses,
        Map<String, QueryTime> queries,
        List<MethodRow> comparison) {
    public ReportData {
        Objects.requireNonNull(title, "title");
        Objects.requireNonNull(input, "input");
        Objects.requireNonNull(output, "output");
        Objects.requireNonNull(device, "device");
        results = List.copyOf(results);
        evaluations = Map.copyOf(evaluations);
        curves = Map.copyOf(curves);
        losses = Map.copyOf(losses);
        queries = Map.copyOf(queries);
        comparison = List.copyOf(comparison);
    }
}
