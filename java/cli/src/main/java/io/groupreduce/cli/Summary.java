package io.groupreduce.cli;

import io.groupreduce.api.CompressionSummary;
import io.groupreduce.api.Estimate;
import io.groupreduce.api.Evaluation;
import io.groupreduce.cli.report.Figures;
import io.groupreduce.cli.report.QueryTime;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.LongSummaryStatistics;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.ToLongFunction;

/** A compressed matrix in words, and as a JSON document. */
final class Summary {
    /** More groups than this are summed up by basis and widest number. */
    private static final int MOST_LISTED = 12;

    private Summary() {}

    /**
     * Where a compressed matrix came from.
     *
     * @param metric whether {@code loss} and {@code energy} are under one
     * @param loss what the method minimised, {@code energy} that of a matrix of zeros; NaN where it is not known
     * @param relativeError the count-weighted one; NaN where it is not known
     * @param codec of left factors and dense rows; {@code auto} where each row has its own
     * @param alpha of the weights; empty for a method without
     * @param epochs of calibration
     * @param calibration mean KL on held-out hidden states, before calibration first; empty without one
     */
    record Source(
            String method,
            String dtype,
            long bytes,
            boolean metric,
            double energy,
            double loss,
            double relativeError,
            String codec,
            OptionalDouble alpha,
            int epochs,
            List<Double> calibration) {
        static Source of(Map<String, Object> provenance, CompressedMatrix matrix) {
            Map<?, ?> options = provenance.get("options") instanceof Map<?, ?> map ? map : Map.of();
            double alpha = number(options, "alpha", Double.NaN);
            List<Double> calibration = new ArrayList<>();
            if (provenance.get("calibration") instanceof List<?> list) {
                list.forEach(kl -> calibration.add(kl instanceof Number number ? number.doubleValue() : Double.NaN));
            }
            return new Source(
                    text(provenance, "method", "unknown"),
                    text(provenance, "sourceType", text(provenance, "dtype", "F32")),
                    (long) number(provenance, "sourceBytes", 4.0 * matrix.rows() * matrix.columns()),
                    Boolean.TRUE.equals(provenance.get("metric")),
                    number(provenance, "energy", Double.NaN),
                    number(provenance, "loss", Double.NaN),
                    number(provenance, "relativeError", Double.NaN),
                    text(options, "codec", "auto"),
                    Double.isNaN(alpha) ? OptionalDouble.empty() : OptionalDouble.of(alpha),
                    (int) number(options, "calibrationEpochs", 0),
                    calibration);
        }

        private static double number(Map<?, ?> members, String key, double without) {
            return members.get(key) instanceof Number number ? number.doubleValue() : without;
        }

        private static String text(Map<?, ?> members, String key, String without) {
            return members.get(key) instanceof String text ? text : without;
        }

        static Source of(CompressionSummary result) {
            return new Source(
                    result.options().method().label(),
                    result.storedType(),
                    result.sourceBytes(),
                    result.metric(),
                    result.energy(),
                    result.loss(),
                    result.relativeError(),
                    result.options().codec().map(Codec::label).orElse("auto"),
                    result.options().alpha(),
                    result.options().calibrationEpochs(),
                    result.calibration());
        }
    }

    static List<String> lines(CompressedMatrix matrix, Source source) {
        List<String> lines = new ArrayList<>();
        lines.add(Texts.format(
                "%s [%d x %d, %s], %s: %s -> %s, %.2f times smaller, %s coordinates a row, count-weighted relative error"
                        + " %s",
                matrix.name(),
                matrix.rows(),
                matrix.columns(),
                source.dtype(),
                source.method(),
                Figures.bytes(source.bytes()),
                Figures.bytes(matrix.bytes()),
                (double) source.bytes() / matrix.bytes(),
                Figures.mean(matrix.coordinatesPerRow()),
                Double.isNaN(source.relativeError()) ? "unknown" : Texts.format("%.4f", source.relativeError())));
        lines.add("  " + details(matrix, source));
        lines.addAll(Texts.table(matrix.groups().size() > MOST_LISTED ? summedUp(matrix) : listed(matrix)));
        return lines;
    }

    private static String details(CompressedMatrix matrix, Source source) {
        StringBuilder text = new StringBuilder();
        source.alpha().ifPresent(alpha -> text.append("alpha ").append(alpha).append(", "));
        if (source.metric()) {
            text.append("with a metric, ");
        }
        if (!source.codec().equals("auto")) {
            text.append("codec ").append(source.codec()).append(", ");
        }
        text.append(counted(matrix.bases(), "basis", "bases"));
        text.append(matrix.bases() == 0 ? ", " : " of " + Figures.bytes(matrix.rightBytes()) + ", ");
        text.append(counted(matrix.groups().size(), "group", "groups"));
        if (matrix.packed() != null) {
            text.append(Texts.format(
                    "; packed rows %s and right factor %s, in memory %s, as below",
                    Figures.bytes(matrix.packed().rows().byteSize()),
                    Figures.bytes(matrix.packed().right().byteSize()),
                    Figures.bytes(matrix.residentBytes())));
        }
        if (matrix.bias() != null) {
            text.append(", a bias of ").append(Figures.bytes(biasBytes(matrix)));
        }
        if (!source.calibration().isEmpty()) {
            text.append(Texts.format(
                    "; %s of calibration: mean KL on held-out hidden states %.4f -> %.4f nats",
                    counted(source.epochs(), "epoch", "epochs"),
                    source.calibration().get(0),
                    // What was best is what was kept.
                    Collections.min(source.calibration())));
        }
        return text.toString();
    }

    private static String counted(int count, String one, String several) {
        return count + " " + (count == 1 ? one : several);
    }

    /** A line for each group. */
    private static List<List<String>> listed(CompressedMatrix matrix) {
        List<List<String>> rows = new ArrayList<>();
        rows.add(List.of("  group", "rows", "rank", "bits", "bits a number", "bytes a row", "left", "basis", "right"));
        int[] sizes = matrix.groupSizes();
        Set<Integer> counted = new HashSet<>();
        for (int g = 0; g < sizes.length; g++) {
            GroupPlan plan = matrix.groups().get(g);
            rows.add(List.of(
                    "  " + g,
                    Integer.toString(sizes[g]),
                    plan.isLowRank() ? Integer.toString(plan.rank()) : Figures.kind(plan),
                    plan.isZero() ? "-" : plan.profile().label(),
                    plan.isZero() ? "-" : Figures.mean(Figures.bitsANumber(plan)),
                    Long.toString(rowBytes(matrix, g)),
                    Figures.bytes(leftBytes(matrix, g)),
                    plan.isLowRank() ? Integer.toString(plan.basis()) : "-",
                    right(matrix, plan, counted.add(plan.basis()))));
        }
        return rows;
    }

    /** A line for each basis and number of bits of the widest coordinate, then for dense rows and for zeros. */
    private static List<List<String>> summedUp(CompressedMatrix matrix) {
        Map<List<Integer>, List<Integer>> members = new TreeMap<>((a, b) -> {
            int byBasis = Integer.compare(order(a.get(0)), order(b.get(0)));
            return byBasis != 0 ? byBasis : Integer.compare(a.get(1), b.get(1));
        });
        for (int g = 0; g < matrix.groups().size(); g++) {
            GroupPlan plan = matrix.groups().get(g);
            members.computeIfAbsent(List.of(plan.basis(), -plan.profile().most()), k -> new ArrayList<>())
                    .add(g);
        }
        List<List<String>> rows = new ArrayList<>();
        rows.add(List.of("  basis", "bits", "groups", "rows", "ranks", "bytes a row", "left", "right"));
        int[] sizes = matrix.groupSizes();
        Set<Integer> counted = new HashSet<>();
        for (List<Integer> groups : members.values()) {
            GroupPlan plan = matrix.groups().get(groups.get(0));
            long count = groups.stream().mapToLong(g -> sizes[g]).sum();
            long left = groups.stream().mapToLong(g -> leftBytes(matrix, g)).sum();
            rows.add(List.of(
                    "  " + (plan.isLowRank() ? Integer.toString(plan.basis()) : Figures.kind(plan)),
                    plan.isZero() ? "-" : bits(matrix, groups),
                    Integer.toString(groups.size()),
                    Long.toString(count),
                    plan.isZero()
                            ? "-"
                            : range(groups, g -> matrix.groups().get(g).rank()),
                    range(groups, g -> rowBytes(matrix, g)),
                    Figures.bytes(left),
                    right(matrix, plan, counted.add(plan.basis()))));
        }
        return rows;
    }

    /** Bases in order, then dense rows, then zeros. */
    private static int order(int basis) {
        return basis == GroupPlan.ZERO ? GroupPlan.DENSE + 1 : basis;
    }

    /** The bits of groups whose widest numbers are alike: the widest, and the narrowest that any of them has. */
    private static String bits(CompressedMatrix matrix, List<Integer> groups) {
        BitProfile lowest = groups.stream()
                .map(g -> matrix.groups().get(g).profile())
                .min(Comparator.comparingInt(profile -> profile.bits(profile.width() - 1)))
                .orElseThrow();
        return lowest.label();
    }

    private static String range(List<Integer> groups, ToLongFunction<Integer> figure) {
        LongSummaryStatistics all = groups.stream().mapToLong(figure).summaryStatistics();
        return all.getMin() == all.getMax() ? Long.toString(all.getMin()) : all.getMin() + "-" + all.getMax();
    }

    /** The bytes of a right factor stand where its basis appears first. */
    private static String right(CompressedMatrix matrix, GroupPlan plan, boolean first) {
        if (!plan.isLowRank()) {
            return "-";
        }
        return first ? Figures.bytes(matrix.right(plan.basis()).bytes()) : "shared";
    }

    static Map<String, Object> document(CompressedMatrix matrix, Source source) {
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("name", matrix.name());
        document.put("shape", List.of(matrix.rows(), matrix.columns()));
        document.put("dtype", source.dtype());
        document.put("method", source.method());
        document.put("codec", source.codec());
        document.put("alpha", source.alpha().isPresent() ? source.alpha().getAsDouble() : null);
        document.put("sourceBytes", source.bytes());
        document.put("bytes", matrix.bytes());
        document.put("packed", matrix.packed() != null);
        document.put("residentBytes", matrix.residentBytes());
        if (matrix.packed() != null) {
            document.put("packedRowsBytes", matrix.packed().rows().byteSize());
            document.put("packedRightBytes", matrix.packed().right().byteSize());
        }
        document.put("headerBytes", matrix.headerBytes());
        document.put("parameters", matrix.parameters());
        document.put("rightBytes", matrix.rightBytes());
        document.put("coordinatesPerRow", matrix.coordinatesPerRow());
        document.put("ratio", (double) source.bytes() / matrix.bytes());
        document.put("metric", source.metric());
        document.put("energy", known(source.energy()));
        document.put("loss", known(source.loss()));
        document.put("relativeError", known(source.relativeError()));
        document.put("calibration", source.calibration());
        document.put("biasBytes", biasBytes(matrix));
        List<Map<String, Object>> bases = new ArrayList<>();
        for (int b = 0; b < matrix.bases(); b++) {
            EncodedMatrix right = matrix.right(b);
            Map<String, Object> basis = new LinkedHashMap<>();
            basis.put("rank", right.rows());
            basis.put("bits", right.profile().label());
            basis.put("bytes", right.bytes());
            bases.add(basis);
        }
        document.put("bases", bases);
        List<Map<String, Object>> groups = new ArrayList<>();
        int[] sizes = matrix.groupSizes();
        for (int g = 0; g < sizes.length; g++) {
            GroupPlan plan = matrix.groups().get(g);
            Map<String, Object> group = new LinkedHashMap<>();
            group.put("rows", sizes[g]);
            group.put("kind", Figures.kind(plan));
            group.put("rank", plan.rank());
            group.put("bits", plan.isZero() ? null : plan.profile().text());
            group.put("bitsPerNumber", plan.isZero() ? null : Figures.bitsANumber(plan));
            group.put("rowBytes", rowBytes(matrix, g));
            group.put("leftBytes", leftBytes(matrix, g));
            group.put("basis", plan.isLowRank() ? plan.basis() : null);
            groups.add(group);
        }
        document.put("groups", groups);
        return document;
    }

    private static Double known(double value) {
        return Double.isNaN(value) ? null : value;
    }

    static Map<String, Object> document(Evaluation evaluation) {
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("tokens", evaluation.tokens());
        put(document, "densePerplexity", evaluation.denseLoss().map(Math::exp));
        put(document, "compressedPerplexity", evaluation.compressedLoss().map(Math::exp));
        put(document, "perplexityIncrease", evaluation.perplexityIncrease());
        put(document, "meanKl", evaluation.kl());
        put(document, "top1Agreement", evaluation.top1());
        put(document, "top10Agreement", evaluation.top10());
        return document;
    }

    /** What was estimated, and under {@code ...Interval} the two ends; {@code null} where they are not known. */
    static void put(Map<String, Object> document, String key, Estimate estimate) {
        document.put(key, known(estimate.mean()));
        document.put(key + "Interval", estimate.hasInterval() ? List.of(estimate.low(), estimate.high()) : null);
    }

    static Map<String, Object> document(QueryTime query) {
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("measuredMicros", query.measured() * 1e6);
        document.put("predictedMicros", query.predicted() * 1e6);
        document.put("overheadMicros", query.overhead() * 1e6);
        document.put("readBandwidthGBs", query.bandwidth() / 1e9);
        document.put("numbersPerSecond", query.rate());
        return document;
    }

    static List<String> lines(Evaluation evaluation) {
        List<String> lines = new ArrayList<>();
        if (!evaluation.hasPerplexity()) {
            lines.add("perplexity: unknown, the hidden states have no targets");
        } else if (Double.isFinite(evaluation.densePerplexity())
                && Double.isFinite(evaluation.compressedPerplexity())) {
            lines.add(Texts.format(
                    "perplexity on %d tokens: %.3f -> %.3f, %s",
                    evaluation.tokens(),
                    evaluation.densePerplexity(),
                    evaluation.compressedPerplexity(),
                    Figures.estimate(evaluation.perplexityIncrease(), Figures::signedPercent)));
        } else {
            lines.add(Texts.format("perplexity on %d tokens: %s", evaluation.tokens(), Figures.NOT_FINITE));
        }
        lines.add("mean KL(dense || compressed), nats: " + Figures.estimate(evaluation.kl(), Figures::nats));
        lines.add("most likely token the same: " + Figures.estimate(evaluation.top1(), Figures::percent)
                + ", ten most likely shared: " + Figures.estimate(evaluation.top10(), Figures::percent));
        return lines;
    }

    /** Bytes of a row of a group: its numbers and its scales. */
    private static long rowBytes(CompressedMatrix matrix, int group) {
        EncodedMatrix left = matrix.left(group);
        return left == null ? 0 : left.rowBytes();
    }

    private static long leftBytes(CompressedMatrix matrix, int group) {
        EncodedMatrix left = matrix.left(group);
        return left == null ? 0 : left.bytes();
    }

    private static long biasBytes(CompressedMatrix matrix) {
        return matrix.bias() == null ? 0 : (long) Short.BYTES * matrix.rows();
    }
}
