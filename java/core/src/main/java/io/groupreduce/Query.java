package io.groupreduce;

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.internal.check.Finite;
import io.groupreduce.spi.InferenceSession;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A running query: the right to use the loaded matrix, its hidden states, and scratch memory that serves one query after the other.
 * Used by one thread at a time.
 */
final class Query implements AutoCloseable {
    /** Numbers of an array that is kept for the next query: 4 MiB of floats. Longer ones are rare and costly to hold. */
    private static final int MOST_KEPT = 1 << 20;

    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT_UNALIGNED;

    private final LoadedMatrix owner;
    private long stamp;
    private float[] hidden;
    private int states;
    private float[] copied = {};
    private float[] floats = {};
    private double[] doubles = {};
    private int[] ints = {};

    Query(LoadedMatrix owner) {
        this.owner = owner;
    }

    Query begin(long readStamp) {
        stamp = readStamp;
        return this;
    }

    /** What answers. */
    InferenceSession session() {
        return owner.session();
    }

    /** Takes hidden states without copying them; B x D numbers. Ends the query if they cannot be used. */
    Query take(float[] values) {
        try {
            takeArray(values);
            return this;
        } catch (Throwable e) {
            close();
            throw e;
        }
    }

    /** Copies hidden states: B x D floats in the machine's byte order at any address. Ends the query if they cannot be used. */
    Query take(MemorySegment values) {
        try {
            takeCopy(values);
            return this;
        } catch (Throwable e) {
            close();
            throw e;
        }
    }

    private void takeArray(float[] values) {
        int columns = owner.matrix().columns();
        requireWhole(values.length, columns, " numbers");
        use(values, values.length / columns);
    }

    private void takeCopy(MemorySegment values) {
        long stateBytes = (long) Float.BYTES * owner.matrix().columns();
        long count = values.byteSize() / stateBytes;
        requireWhole(values.byteSize(), stateBytes, " bytes");
        if (count * owner.matrix().columns() > Integer.MAX_VALUE - 8) {
            throw new InvalidDataException(
                    count + " hidden states are too many for one query of '" + name() + "'; ask in several batches.");
        }
        int length = (int) count * owner.matrix().columns();
        copied = copied.length < length ? new float[length] : copied;
        MemorySegment.copy(values, F32, 0, copied, 0, length);
        use(copied, (int) count);
    }

    private void use(float[] values, int count) {
        int columns = owner.matrix().columns();
        int bad = Finite.firstNot(values, 0, count * columns);
        if (bad >= 0) {
            throw new InvalidDataException("Hidden state " + bad / columns + " holds " + values[bad] + " at index "
                    + bad % columns + "; only finite numbers can be used.");
        }
        hidden = values;
        states = count;
    }

    private void requireWhole(long size, long stateSize, String unit) {
        if (size == 0 || size % stateSize != 0) {
            throw new InvalidDataException("The hidden states have " + size + unit + ", but '" + name()
                    + "' takes states of " + stateSize + unit + "; give one or more whole ones, one after the other.");
        }
    }

    private String name() {
        return owner.matrix().name();
    }

    /** The hidden states, from index 0 on. */
    float[] hidden() {
        return hidden;
    }

    /** B. */
    int states() {
        return states;
    }

    /** Scratch of at least this length. */
    float[] floats(int length) {
        floats = floats.length < length ? new float[length] : floats;
        return floats;
    }

    /** Scratch of at least this length. */
    double[] doubles(int length) {
        doubles = doubles.length < length ? new double[length] : doubles;
        return doubles;
    }

    /** Scratch of at least this length. */
    int[] ints(int length) {
        ints = ints.length < length ? new int[length] : ints;
        return ints;
    }

    /** Whether the scratch is small enough to be held between queries. */
    boolean keepable() {
        return copied.length <= MOST_KEPT
                && floats.length <= MOST_KEPT
                && doubles.length <= MOST_KEPT
                && ints.length <= MOST_KEPT;
    }

    @Override
    public void close() {
        hidden = null;
        owner.end(this, stamp);
    }
}
