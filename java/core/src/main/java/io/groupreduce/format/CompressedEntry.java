package io.groupreduce.format;

import com.fasterxml.jackson.databind.JsonNode;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.CompressionSummary;
import io.groupreduce.api.Method;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import java.math.BigDecimal;
import java.math.MathContext;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * A compressed matrix and what the file says about it.
 *
 * @param matrix the matrix
 * @param document a JSON object as maps, lists and plain values; shape, groups and bases need not be in it. It stays short: every byte counts
 * @param logits how the model makes logits of it
 */
public record CompressedEntry(CompressedMatrix matrix, Map<String, Object> document, Logits logits) {
    private static final int DIGITS = 8;

    /** Whether hidden states meet the matrix; left out where only its name tells that. */
    static final String OUTPUT = "output";

    /** The entry of a matrix whose logits are plain. */
    public CompressedEntry(CompressedMatrix matrix, Map<String, Object> document) {
        this(matrix, document, Logits.PLAIN);
    }

    /** The entry of a finished compression of the tensor {@code name}. */
    public static CompressedEntry of(CompressionResult result, String name, Logits logits) {
        CompressedMatrix matrix = result.matrix().named(name);
        CompressionSummary summary = result.summary();
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("dtype", summary.type().name());
        document.put("method", summary.options().method().label());
        document.put("options", options(summary.options()));
        document.put("sourceBytes", summary.sourceBytes());
        if (!summary.storedType().equals(summary.type().name())) {
            document.put("sourceType", summary.storedType());
        }
        document.put("metric", summary.metric());
        document.put("energy", rounded(summary.energy()));
        document.put("loss", rounded(summary.loss()));
        document.put("relativeError", rounded(summary.relativeError()));
        if (summary.heldOut() != null) {
            document.put("heldOut", document(summary.heldOut()));
        }
        if (!summary.calibration().isEmpty()) {
            List<Double> losses = summary.calibration();
            document.put("calibration", List.of(rounded(losses.getFirst()), rounded(Collections.min(losses))));
        }
        return new CompressedEntry(matrix, document, logits);
    }

    /**
     * This with what is known of the tensor in its model, beyond what its name tells.
     *
     * @param mayServe false if hidden states meet another one
     */
    public CompressedEntry in(Model model, boolean mayServe) {
        Map<String, Object> more = new LinkedHashMap<>(document);
        model.vocabularyMatrix(matrix.name())
                .filter(VocabularyMatrix::taken)
                .ifPresent(found -> more.put(OUTPUT, mayServe && found.servesAsOutput()));
        return new CompressedEntry(matrix, more, logits);
    }

    /**
     * What of the figures that a file gives for a matrix cannot be, so that nobody is shown it; figures may be left out.
     *
     * @param document what the file says about the matrix
     */
    static Optional<String> wrong(JsonNode document, CompressedMatrix matrix) {
        JsonNode dtype = document.path("dtype");
        Optional<DType> type = dtype.isMissingNode()
                ? Optional.of(DType.F32)
                : DType.parse(dtype.asText()).filter(DType::compressible);
        if (type.isEmpty()) {
            return Optional.of("has a 'dtype' that is neither F32, F16 nor BF16");
        }
        JsonNode source = document.path("sourceBytes");
        long bytes = (long) matrix.rows() * matrix.columns() * type.get().bytes();
        JsonNode quantised = document.path("sourceType");
        if (!quantised.isMissingNode() && !quantised.isTextual()) {
            return Optional.of("has a 'sourceType' that is no text");
        }
        boolean fits = source.isIntegralNumber()
                && source.canConvertToLong()
                && (quantised.isMissingNode()
                        ? source.longValue() == bytes
                        : source.longValue() > 0 && source.longValue() < bytes);
        if (!source.isMissingNode() && !fits) {
            return Optional.of("has 'sourceBytes' other than the " + bytes + " of its shape in " + type.get());
        }
        if (document.has(OUTPUT) && !document.path(OUTPUT).isBoolean()) {
            return Optional.of("has an 'output' that is neither true nor false");
        }
        Stream<JsonNode> figures = Stream.concat(
                Stream.of("relativeError", "loss", "energy").map(document::path),
                document.path("calibration").valueStream());
        return figures.filter(figure -> !figure.isMissingNode())
                        .anyMatch(figure -> !figure.isNumber()
                                || !(figure.asDouble() >= 0 && figure.asDouble() <= Double.MAX_VALUE))
                ? Optional.of(
                        "has a 'relativeError', 'loss', 'energy' or 'calibration' that is no finite number from 0 on")
                : Optional.empty();
    }

    /** Nobody needs more digits, and the file pays for them. */
    private static double rounded(double value) {
        return new BigDecimal(value).round(new MathContext(DIGITS)).doubleValue();
    }

    /** What was measured on held-out states, as it stands in the metadata. */
    public static Map<String, Object> document(CompressionSummary.HeldOut heldOut) {
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("states", heldOut.states());
        document.put("denseLoss", rounded(heldOut.denseLoss()));
        document.put("compressedLoss", rounded(heldOut.compressedLoss()));
        return document;
    }

    private static Map<String, Object> options(CompressionOptions options) {
        Map<String, Object> document = new LinkedHashMap<>();
        SizeTarget target = options.target();
        if (target.size() > 0) {
            document.put("size", target.size());
        } else {
            document.put("ratio", rounded(target.ratio()));
        }
        document.put("unit", target.unit().name().toLowerCase(Locale.ROOT));
        options.maxLossIncrease().ifPresent(value -> document.put("maxLossIncrease", value));
        options.codec().ifPresent(codec -> document.put("codec", codec.label()));
        options.rightCodec().ifPresent(codec -> document.put("rightCodec", codec.label()));
        options.alpha().ifPresent(value -> document.put("alpha", rounded(value)));
        options.groups().ifPresent(value -> document.put("groups", value));
        options.refineRounds().ifPresent(value -> document.put("refineRounds", value));
        if (options.method() == Method.RATE_DISTORTION) {
            document.put("timePrice", rounded(options.timePrice()));
        }
        if (options.method().grouped()) {
            document.put("minRank", options.minRank());
        }
        if (options.calibrationEpochs() > 0) {
            document.put("calibrationEpochs", options.calibrationEpochs());
        }
        return document;
    }

    /** This software's version, from its jar; {@code development} when it runs from classes. */
    public static String softwareVersion() {
        String version = CompressedEntry.class.getPackage().getImplementationVersion();
        return version == null ? "development" : version;
    }
}
