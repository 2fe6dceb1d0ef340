package io.groupreduce.api;

import io.groupreduce.error.InvalidOptionException;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** Where to run. A value: two of the same name are equal. */
public final class Device {
    /** The best that can run here: a GPU, the processor with vectors, else {@link #REFERENCE}. */
    public static final Device AUTO = new Device("auto", -1);

    /** The processor: {@link #VECTOR} where that can run, else {@link #REFERENCE}. */
    public static final Device CPU = new Device("cpu", -1);

    /** The processor with the Java Vector API, or an error. */
    public static final Device VECTOR = new Device("vector", -1);

    /** The processor with plain loops on one thread: correct and slow. */
    public static final Device REFERENCE = new Device("reference", -1);

    /** The first GPU that can be used, or an error. */
    public static final Device CUDA = new Device("cuda", -1);

    private static final Pattern CARD = Pattern.compile("cuda:(\\d{1,4})");
    private static final int MOST_CARDS = 10_000;

    private final String kind;
    private final int index;

    private Device(String kind, int index) {
        this.kind = kind;
        this.index = index;
    }

    /**
     * One GPU, or an error.
     *
     * @throws InvalidOptionException if the number is not from 0 to 9999
     */
    public static Device cuda(int index) {
        if (index < 0 || index >= MOST_CARDS) {
            throw new InvalidOptionException(
                    "The number of the GPU is " + index + "; it must lie between 0 and " + (MOST_CARDS - 1) + ".");
        }
        return new Device(CUDA.kind, index);
    }

    /**
     * The device of a name as {@link #toString} gives it and a command line takes it.
     *
     * @throws InvalidOptionException if there is none
     */
    public static Device parse(String name) {
        Matcher card = CARD.matcher(name);
        return card.matches()
                ? cuda(Integer.parseInt(card.group(1)))
                : Stream.of(AUTO, CPU, VECTOR, REFERENCE, CUDA)
                        .filter(device -> device.kind.equals(name))
                        .findFirst()
                        .orElseThrow(() -> new InvalidOptionException(
                                "The device '" + name + "' is unknown; use auto, cpu, cuda, cuda:I or reference."));
    }

    /** {@code auto}, {@code cpu}, {@code vector}, {@code reference} or {@code cuda}. */
    public String kind() {
        return kind;
    }

    /** Which of several; empty for any. */
    public OptionalInt index() {
        return index < 0 ? OptionalInt.empty() : OptionalInt.of(index);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Device device && kind.equals(device.kind) && index == device.index;
    }

    @Override
    public int hashCode() {
        return Objects.hash(kind, index);
    }

    @Override
    public String toString() {
        return index < 0 ? kind : kind + ":" + index;
    }
}
