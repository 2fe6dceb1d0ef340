package io.groupreduce.cli;

import com.fasterxml.jackson.databind.JsonNode;
import io.groupreduce.CompressedMatrix;
import io.groupreduce.EncodedMatrix;
import io.groupreduce.Evaluation;
import io.groupreduce.Method;
import io.groupreduce.backend.GroupPlan;
import io.groupreduce.compress.CompressionResult;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A compressed matrix in words, and as a JSON document. */
final class Summary {
    private Summary() {}

    /** Where a compressed matrix came from. */
    record Source(String method, String dtype, long bytes, boolean metric, double relativeError) {
        static Source of(JsonNode provenance, CompressedMatrix matrix) {
            return new Source(
                    provenance.path("method").asText("unknown"),
                    provenance.path("dtype").asText("F32"),
                    provenance.path("sourceBytes").asLong(4L * matrix.rows() * matrix.columns()),
                    provenance.path("metric").asBoolean(),
                    provenance.path("relativeError").asDouble(Double.NaN));
        }

        static Source of(CompressionResult result) {
            return new Source(
                    result.options().method().label(),
                    result.source().type().name(),
                    result.source().bytes(),
                    result.metric(),
                    result.relativeError());
        }
    }

    /** What the recorded error measures: the loss that the method minimised. */
    private static String errorName(Source source) {
        String weighted = source.method().equals(Method.SVD.label()) ? "relative error" : "weighted relative error";
        return source.metric() ? weighted + " under the metric" : weighted;
    }

    static List<String> lines(CompressedMatrix matrix, Source source) {
        List<String> lines = new ArrayList<>();
        lines.add(Texts.format(
                "%s [%d x %d, %s], %s: %s -> %s, %.2f times smaller, %s %.4f",
                matrix.name(),
                matrix.rows(),
                matrix.columns(),
                source.dtype(),
                source.method(),
                Texts.bytes(source.bytes()),
                Texts.bytes(matrix.bytes()),
                (double) source.bytes() / matrix.bytes(),
                errorName(source),
                source.relativeError()));
        List<List<String>> rows = new ArrayList<>();
        rows.add(List.of("  group", "rows", "rank", "codec", "left", "right"));
        int[] sizes = matrix.groupSizes();
        for (int g = 0; g < sizes.length; g++) {
            GroupPlan plan = matrix.groups().get(g);
            rows.add(List.of(
                    "  " + g,
                    Integer.toString(sizes[g]),
                    plan.isLowRank() ? Integer.toString(plan.rank()) : kind(plan),
                    plan.isZero() ? "-" : plan.codec().label(),
                    Texts.bytes(leftBytes(matrix, g)),
                    Texts.bytes(rightBytes(matrix, plan))));
        }
        lines.addAll(Texts.table(rows));
        return lines;
    }

    static Map<String, Object> document(CompressedMatrix matrix, Source source) {
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("name", matrix.name());
        document.put("shape", List.of(matrix.rows(), matrix.columns()));
        document.put("dtype", source.dtype());
        document.put("method", source.method());
        document.put("sourceBytes", source.bytes());
        document.put("bytes", matrix.bytes());
        document.put("parameters", matrix.parameters());
        document.put("ratio", (double) source.bytes() / matrix.bytes());
        document.put("metric", source.metric());
        document.put("relativeError", Double.isNaN(source.relativeError()) ? null : source.relativeError());
        List<Map<String, Object>> groups = new ArrayList<>();
        int[] sizes = matrix.groupSizes();
        for (int g = 0; g < sizes.length; g++) {
            GroupPlan plan = matrix.groups().get(g);
            Map<String, Object> group = new LinkedHashMap<>();
            group.put("rows", sizes[g]);
            group.put("kind", kind(plan));
            group.put("rank", plan.rank());
            group.put("codec", plan.isZero() ? null : plan.codec().label());
            group.put("leftBytes", leftBytes(matrix, g));
            group.put("rightBytes", rightBytes(matrix, plan));
            groups.add(group);
        }
        document.put("groups", groups);
        return document;
    }

    static Map<String, Object> document(Evaluation evaluation) {
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("tokens", evaluation.tokens());
        document.put("densePerplexity", evaluation.hasPerplexity() ? evaluation.densePerplexity() : null);
        document.put("compressedPerplexity", evaluation.hasPerplexity() ? evaluation.compressedPerplexity() : null);
        document.put("perplexityIncrease", evaluation.hasPerplexity() ? evaluation.perplexityIncrease() : null);
        document.put("meanKl", evaluation.meanKl());
        document.put("top1Agreement", evaluation.top1Agreement());
        document.put("top10Agreement", evaluation.top10Agreement());
        return document;
    }

    static List<String> lines(Evaluation evaluation) {
        List<String> lines = new ArrayList<>();
        if (evaluation.hasPerplexity()) {
            lines.add(Texts.format(
                    "perplexity on %d tokens: %.3f -> %.3f (%s)",
                    evaluation.tokens(),
                    evaluation.densePerplexity(),
                    evaluation.compressedPerplexity(),
                    Texts.signedPercent(evaluation.perplexityIncrease())));
        } else {
            lines.add("perplexity: unknown, the hidden states have no targets");
        }
        lines.add(Texts.format("mean KL(dense || compressed): %.5f nats", evaluation.meanKl()));
        lines.add("most likely token the same: " + Texts.percent(evaluation.top1Agreement())
                + ", ten most likely shared: " + Texts.percent(evaluation.top10Agreement()));
        return lines;
    }

    private static String kind(GroupPlan plan) {
        return plan.isDense() ? "dense" : plan.isZero() ? "zero" : "low-rank";
    }

    private static long leftBytes(CompressedMatrix matrix, int group) {
        EncodedMatrix left = matrix.left(group);
        return left == null ? 0 : left.bytes();
    }

    private static long rightBytes(CompressedMatrix matrix, GroupPlan plan) {
        return plan.isLowRank() ? matrix.right(plan.basis()).bytes() : 0;
    }
}
