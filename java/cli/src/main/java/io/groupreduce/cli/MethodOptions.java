package io.groupreduce.cli;

import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Method;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.api.SizeUnit;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.matrix.Codec;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.Collectors;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** What to do to each matrix: size, method, and what a method leaves open. */
final class MethodOptions {
    private static final double DEFAULT_RATIO = 6.6;

    @Option(names = "--ratio", paramLabel = "R", description = "Source bytes / compressed bytes (default: 6.6).")
    Double ratio;

    @Option(names = "--size", paramLabel = "BYTES", description = "Largest size of all that replaces the matrices.")
    Long size;

    @Option(
            names = "--max-loss-increase",
            paramLabel = "PCT",
            converter = PercentConverter.class,
            description =
                    "Instead of a size: how many percent the softmax's mean cross-entropy on held-out hidden states"
                            + " may rise, as 1 or 1%%; the smallest such size is searched. Only rate-distortion, needs --hidden"
                            + " with targets.")
    Double maxLossIncrease;

    @Option(
            names = "--unit",
            paramLabel = "UNIT",
            description = "What --ratio and --size count: bytes, or parameters as in the paper (default: bytes).")
    SizeUnit unit;

    @Option(
            names = "--method",
            paramLabel = "M",
            converter = MethodConverter.class,
            defaultValue = "rate-distortion",
            description = "rate-distortion, groupreduce (the paper), weighted-svd or svd (default: ${DEFAULT-VALUE}).")
    Method method;

    @Option(
            names = "--groups",
            paramLabel = "C",
            description = "groupreduce: groups of equal count mass (default: 5). rate-distortion: bases, 1 to 16"
                    + " (default: as many as pay for themselves).")
    Integer groups;

    @Option(
            names = "--alpha",
            paramLabel = "A",
            description =
                    "Weights are (count + 1)^A. Default: 1; for rate-distortion 0.5, or with --hidden the exponent"
                            + " that loses least on them.")
    Double alpha;

    @Option(
            names = "--codec",
            paramLabel = "CODEC",
            converter = CodecConverter.class,
            defaultValue = "auto",
            description =
                    "f32, bf16, int8, int6, int4, int3, or auto (default): rate-distortion chooses for each row, the others"
                            + " take int8, or with --unit parameters f32 for an F32 source, else bf16.")
    CodecChoice codec;

    @Option(
            names = "--min-rank",
            paramLabel = "K",
            description = "groupreduce: least rank of a group if it fits (default: 5).")
    Integer minRank;

    @Option(
            names = "--refine",
            paramLabel = "ROUNDS",
            description = "Most rounds of refinement (default: 10 for groupreduce, 3 for rate-distortion).")
    Integer refine;

    @Option(
            names = "--time-price",
            paramLabel = "BYTES",
            description =
                    "rate-distortion: bytes that a coordinate counts beside its bits, since a query's time follows the"
                            + " number of coordinates (default: 0).")
    Double timePrice;

    @Option(
            names = "--packed",
            description =
                    "rate-distortion: stores rows entropy-coded, a smaller file of the same quality that is decoded when it is"
                            + " opened and then takes more memory; the size is the file's.")
    boolean packed;

    @Option(
            names = "--calibrate",
            paramLabel = "EPOCHS",
            description =
                    "Then trains the output matrix's factors to the dense softmax on the hidden states, so many times"
                            + " over them (default: 0); needs --hidden.")
    Integer calibrate;

    /**
     * The options of a compression.
     *
     * @throws InvalidOptionException if they contradict each other or are out of range
     */
    CompressionOptions options() {
        requireHeeded();
        if (ratio != null && size != null) {
            throw new InvalidOptionException("--ratio and --size contradict each other; give one of them.");
        }
        if (maxLossIncrease != null && (ratio != null || size != null)) {
            throw new InvalidOptionException("--max-loss-increase and " + (ratio != null ? "--ratio" : "--size")
                    + " contradict each other; give one of them.");
        }
        if (maxLossIncrease != null && unit != null) {
            throw new InvalidOptionException(
                    "--unit says what --ratio and --size count; leave it out with --max-loss-increase.");
        }
        SizeUnit counted = unit == null ? SizeUnit.BYTES : unit;
        if (timePrice != null && counted == SizeUnit.PARAMETERS) {
            throw new InvalidOptionException("--time-price counts bytes; leave it out with --unit parameters.");
        }
        SizeTarget target = size != null
                ? new SizeTarget(0, requirePositive(size), counted)
                : new SizeTarget(ratio == null ? DEFAULT_RATIO : ratio, 0, counted);
        return new CompressionOptions(
                method,
                target,
                maxLossIncrease == null ? OptionalDouble.empty() : OptionalDouble.of(maxLossIncrease),
                codec.codec(),
                Optional.empty(),
                groups == null ? OptionalInt.empty() : OptionalInt.of(groups),
                alpha == null ? OptionalDouble.empty() : OptionalDouble.of(alpha),
                minRank == null ? CompressionOptions.defaults().minRank() : minRank,
                refine == null ? OptionalInt.empty() : OptionalInt.of(refine),
                timePrice == null ? CompressionOptions.defaults().timePrice() : timePrice,
                packed,
                calibrate == null ? 0 : calibrate);
    }

    /** Which options belong to which methods; all others belong to every one. What a method would not heed is refused. */
    private void requireHeeded() {
        Set<Method> chosen = EnumSet.of(Method.RATE_DISTORTION);
        Set<Method> grouping = EnumSet.of(Method.GROUPREDUCE, Method.RATE_DISTORTION);
        requireHeeded("--groups", groups != null, grouping);
        requireHeeded("--refine", refine != null, grouping);
        requireHeeded("--min-rank", minRank != null, EnumSet.of(Method.GROUPREDUCE));
        requireHeeded("--alpha", alpha != null, EnumSet.complementOf(EnumSet.of(Method.SVD)));
        requireHeeded("--time-price", timePrice != null, chosen);
        requireHeeded("--packed", packed, chosen);
        requireHeeded("--max-loss-increase", maxLossIncrease != null, chosen);
    }

    private void requireHeeded(String option, boolean given, Set<Method> methods) {
        if (given && !methods.contains(method)) {
            String others = methods.stream().map(Method::label).collect(Collectors.joining(" or "));
            throw new InvalidOptionException(option + " means nothing to the method " + method.label()
                    + "; leave it out, or take " + others + ".");
        }
    }

    private static long requirePositive(long size) {
        if (size <= 0) {
            throw new InvalidOptionException("--size is " + size + "; it must be a positive number.");
        }
        return size;
    }

    /** {@code 1}, {@code 1%} or {@code 0.5 %} to a share. */
    static final class PercentConverter implements ITypeConverter<Double> {
        @Override
        public Double convert(String value) {
            String number = value.strip();
            number = number.endsWith("%") ? number.substring(0, number.length() - 1) : number;
            try {
                return Double.parseDouble(number) / 100;
            } catch (NumberFormatException e) {
                throw new TypeConversionException("'" + value + "' is no percentage; write it as 1 or 0.5%");
            }
        }
    }

    /** {@code weighted-svd} to {@link Method#WEIGHTED_SVD}. */
    static final class MethodConverter implements ITypeConverter<Method> {
        @Override
        public Method convert(String value) {
            for (Method candidate : Method.values()) {
                if (candidate.label().equalsIgnoreCase(value)) {
                    return candidate;
                }
            }
            throw new TypeConversionException("'" + value + "' is no method; use "
                    + Arrays.stream(Method.values()).map(Method::label).collect(Collectors.joining(", ")));
        }
    }

    /** A codec, or none for {@code auto}. */
    record CodecChoice(Optional<Codec> codec) {}

    /** {@code auto} to none. */
    static final class CodecConverter implements ITypeConverter<CodecChoice> {
        @Override
        public CodecChoice convert(String value) {
            if (value.equalsIgnoreCase("auto")) {
                return new CodecChoice(Optional.empty());
            }
            for (Codec candidate : Codec.values()) {
                if (candidate.label().equalsIgnoreCase(value)) {
                    return new CodecChoice(Optional.of(candidate));
                }
            }
            throw new TypeConversionException("'" + value + "' is no codec; use auto, "
                    + Arrays.stream(Codec.values()).map(Codec::label).collect(Collectors.joining(", ")));
        }
    }
}
