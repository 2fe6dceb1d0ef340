package io.groupreduce.benchmarks.head;

import io.groupreduce.api.Pruning;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.matrix.Codec;
import io.groupreduce.vector.kernel.ReadBandwidth;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;

/** The command line of {@link HeadComparison}. */
final class HeadArguments {
    static final List<String> SECTIONS =
            List.of("prepare", "kernels", "heads", "factors", "perplexity", "pruning", "requests", "scaling");

    private static final String USAGE =
            "Arguments: SECTION... --cache FOLDER [--sizes 151936x1024,...] [--model FOLDER]"
                    + " [--heads rate-distortion@26,...|none] [--peers openblas,onnx-f32,onnx-int8,dense-int8,dense-int4|none]"
                    + " [--batches 1,4,...] [--threads 1,2] [--ranks 64,...] [--codecs f32,...] [--rounds R]"
                    + " [--seconds PER-CELL] [--warm-up SECONDS] [--pruning auto|off|always] [--flush MEGABYTES]"
                    + " [--read MEGABYTES]; a SECTION is"
                    + " one of " + String.join(", ", SECTIONS) + ".";

    private final List<String> sections = new ArrayList<>();
    private Path cache;
    private Path model;
    private List<HeadShape> sizes = shapes("151936x1024,262144x640,793471x1024");
    private List<HeadSpec> heads = specs("groupreduce-f32@26,groupreduce-bf16@26,groupreduce-int8@26,"
            + "groupreduce-int4@26,rate-distortion@26,groupreduce-int8@6.6,rate-distortion@6.6");
    private List<String> peers = List.of("openblas", "onnx-f32", "onnx-int8", "dense-int8", "dense-int4");
    private List<Integer> batches = List.of();
    private List<Integer> threads = List.of(1, 2);
    private List<Integer> ranks = List.of(64, 128, 256);
    private List<Codec> codecs = List.of(Codec.F32, Codec.BF16, Codec.INT8, Codec.INT4);
    private int rounds = 9;
    private double seconds = 10;
    private double warmUp = 0.7;
    private Pruning pruning = Pruning.AUTO;
    private long flushBytes;
    private long readBytes = 2L << 30;

    private HeadArguments() {}

    static HeadArguments parse(String[] arguments) {
        HeadArguments parsed = new HeadArguments();
        for (int a = 0; a < arguments.length; a++) {
            if (SECTIONS.contains(arguments[a])) {
                parsed.sections.add(arguments[a]);
            } else if (arguments[a].startsWith("--") && a + 1 < arguments.length) {
                parsed.set(arguments[a], arguments[++a]);
            } else {
                throw new InvalidOptionException("'" + arguments[a] + "' is unknown or lacks its value. " + USAGE);
            }
        }
        if (parsed.sections.isEmpty() || parsed.cache == null) {
            throw new InvalidOptionException("A section and --cache are needed. " + USAGE);
        }
        return parsed;
    }

    private void set(String option, String value) {
        try {
            switch (option) {
                case "--cache" -> cache = Path.of(value);
                case "--model" -> model = Path.of(value);
                case "--sizes" -> sizes = shapes(value);
                case "--heads" -> heads = value.equals("none") ? List.of() : specs(value);
                case "--peers" -> peers = value.equals("none") ? List.of() : list(value, text -> text);
                case "--batches" -> batches = list(value, Integer::valueOf);
                case "--threads" -> threads = list(value, Integer::valueOf);
                case "--ranks" -> ranks = list(value, Integer::valueOf);
                case "--codecs" -> codecs = list(value, text -> Codec.valueOf(text.toUpperCase(Locale.ROOT)));
                case "--rounds" -> rounds = Integer.parseInt(value);
                case "--seconds" -> seconds = Double.parseDouble(value);
                case "--warm-up" -> warmUp = Double.parseDouble(value);
                case "--pruning" -> pruning = Pruning.valueOf(value.toUpperCase(Locale.ROOT));
                case "--flush" -> flushBytes = Long.parseLong(value) << 20;
                case "--read" -> readBytes = Long.parseLong(value) << 20;
                default -> throw new InvalidOptionException("There is no option '" + option + "'. " + USAGE);
            }
        } catch (NumberFormatException e) {
            throw new InvalidOptionException("'" + value + "' after " + option + " is not a number. " + USAGE);
        } catch (IllegalArgumentException e) {
            throw new InvalidOptionException("'" + value + "' after " + option + " is unknown. " + USAGE);
        }
        if (batches.stream().anyMatch(b -> b < 1 || b > HeadAnswers.STATES)) {
            throw new InvalidOptionException("A batch has 1 to " + HeadAnswers.STATES + " hidden states. " + USAGE);
        }
    }

    private static <T> List<T> list(String value, Function<String, T> parse) {
        return Arrays.stream(value.split(",")).map(parse).toList();
    }

    private static List<HeadShape> shapes(String value) {
        return list(value, HeadShape::parse);
    }

    private static List<HeadSpec> specs(String value) {
        return list(value, HeadSpec::parse);
    }

    boolean runs(String section) {
        return sections.contains(section);
    }

    /** Where matrices, models and heads are kept between runs. */
    Path cache() {
        return cache;
    }

    /** The folder of a real model, which is then measured in place of the sizes; {@code null} for none. */
    Path model() {
        return model;
    }

    List<HeadShape> sizes() {
        return sizes;
    }

    List<HeadSpec> heads() {
        return heads;
    }

    boolean has(String peer) {
        return peers.contains(peer);
    }

    /** Batch sizes, or what a section takes where none were given. */
    List<Integer> batches(Integer... otherwise) {
        return batches.isEmpty() ? List.of(otherwise) : batches;
    }

    List<Integer> threads() {
        return threads;
    }

    /** k of the plain heads. */
    List<Integer> ranks() {
        return ranks;
    }

    /** Codecs of the plain heads. */
    List<Codec> codecs() {
        return codecs;
    }

    double warmUp() {
        return warmUp;
    }

    Pruning pruning() {
        return pruning;
    }

    /** Bytes that are read between two timed calls, so that the next begins with cold caches; 0 for none. */
    long flushBytes() {
        return flushBytes;
    }

    /**
     * Bytes of the buffer that the read bandwidth is measured with: more than the caches hold, and enough to empty them where
     * that is asked for.
     */
    long readBytes() {
        return Math.max(readBytes, flushBytes);
    }

    /**
     * The rules of a contest in which each uses so many threads.
     *
     * @param reader empties the caches
     */
    Contest contest(int threadCount, ReadBandwidth reader) {
        Runnable flush = flushBytes == 0 ? () -> {} : () -> reader.read(flushBytes);
        return new Contest(rounds, seconds, threadCount > 1 ? 60 : 0, flush);
    }
}
