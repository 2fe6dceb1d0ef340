package io.groupreduce.format;

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.LittleEndian;
import io.groupreduce.matrix.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Objects;
import java.util.function.Supplier;

/** A named array in a file or in memory, little-endian and row-major, at any address. It owns no memory. */
public final class Tensor {
    private final String name;
    private final DType type;
    private final long[] shape;
    private final Supplier<MemorySegment> data;
    private final long bytes;
    private final String storedType;
    private final long storedBytes;

    /**
     * @param shape sides, each 0 or more; empty for a single number
     * @param data a read-only view of exactly the bytes that type and shape need
     * @throws InvalidDataException if a side is negative, the size overflows, or the bytes do not fit type and shape
     */
    public Tensor(String name, DType type, long[] shape, MemorySegment data) {
        this(name, type, shape, readOnly(data), type.name(), data.byteSize());
        if (bytes != data.byteSize()) {
            throw new InvalidDataException("tensor " + Wording.quoted(name) + " of type " + type + " and shape "
                    + Wording.shape(shape) + " needs " + bytes + " bytes but has " + data.byteSize() + ".");
        }
    }

    private static Supplier<MemorySegment> readOnly(MemorySegment data) {
        MemorySegment view = data.asReadOnly();
        return () -> view;
    }

    private Tensor(
            String name, DType type, long[] shape, Supplier<MemorySegment> data, String storedType, long storedBytes) {
        this.name = Objects.requireNonNull(name, "name");
        this.type = type;
        this.shape = shape.clone();
        this.data = data;
        this.storedType = storedType;
        this.storedBytes = storedBytes;
        try {
            bytes = storedBytes(type, shape);
        } catch (ArithmeticException e) {
            throw new InvalidDataException(
                    "tensor " + Wording.quoted(name) + " cannot have shape " + Wording.shape(shape) + ".", e);
        }
        if (bytes < 0) {
            throw new InvalidDataException("tensor " + Wording.quoted(name) + " of type " + type + " and shape "
                    + Wording.shape(shape) + " does not fill whole bytes.");
        }
    }

    /**
     * A tensor whose file has it in a type of its own.
     *
     * @param storedType what the file calls that type
     * @param storedBytes what it takes in the file
     * @param numbers makes the bytes that {@code type} and {@code shape} need, when they are asked for: each time the same ones
     */
    public static Tensor decoded(
            String name,
            DType type,
            long[] shape,
            String storedType,
            long storedBytes,
            Supplier<MemorySegment> numbers) {
        return new Tensor(name, type, shape, numbers, storedType, storedBytes);
    }

    /** The bytes an array takes, or -1 if its packed elements do not fill whole bytes. */
    static long storedBytes(DType type, long[] shape) {
        long bits = Math.multiplyExact(elements(shape), (long) type.bits());
        return bits % 8 == 0 ? bits / 8 : -1;
    }

    private static long elements(long[] shape) {
        long product = 1;
        for (long side : shape) {
            if (side < 0) {
                throw new ArithmeticException("negative side");
            }
            product = Math.multiplyExact(product, side);
        }
        return product;
    }

    public String name() {
        return name;
    }

    /** The type in which its numbers are read. */
    public DType type() {
        return type;
    }

    /** A copy of the sides. */
    public long[] shape() {
        return shape.clone();
    }

    /** Its bytes, in its type and not to be written to. */
    public MemorySegment data() {
        return data.get();
    }

    /** The type in which its file has it. */
    public String storedType() {
        return storedType;
    }

    /** What it takes in its file. */
    public long storedBytes() {
        return storedBytes;
    }

    /** The number of elements; 1 for an empty shape. */
    public long elements() {
        return elements(shape);
    }

    /** Whether it has rows and columns. */
    boolean isMatrix() {
        return shape.length == 2 && elements() > 0;
    }

    /** Bytes of its numbers in its type. */
    public long bytes() {
        return bytes;
    }

    /**
     * This tensor as a matrix that shares its bytes.
     *
     * @param where the file, for messages
     * @throws InvalidDataException if it has not two sides, or its type is not F32, F16 or BF16
     */
    public Matrix matrix(String where) {
        if (shape.length != 2) {
            throw new InvalidDataException(
                    label(where) + " has shape " + Wording.shape(shape) + "; a matrix [rows, columns] is needed.");
        }
        return Matrix.of(label(where), type, shape[0], shape[1], data()).storedAs(storedType, storedBytes);
    }

    private String label(String where) {
        return where + ": tensor " + Wording.quoted(name);
    }

    /**
     * All elements as binary32, row-major, exactly.
     *
     * @throws InvalidDataException if the type is not F32, F16 or BF16, or there are more than 2^31 - 1 elements
     */
    public float[] floats() {
        if (!type.compressible()) {
            throw new InvalidDataException(
                    "tensor " + Wording.quoted(name) + " has type " + type + " " + type.advice() + ".");
        }
        float[] values = new float[arrayLength()];
        if (values.length > 0) {
            Matrix.of(name, type, 1, values.length, data()).readRow(0, values, 0);
        }
        return values;
    }

    /**
     * All elements as ints.
     *
     * @throws InvalidDataException if the type is not I32 or I64, a value does not fit an int, or there are too many
     */
    public int[] ints() {
        if (type != DType.I32 && type != DType.I64) {
            throw new InvalidDataException(
                    "tensor " + Wording.quoted(name) + " has type " + type + "; I32 or I64 is needed.");
        }
        int[] values = new int[arrayLength()];
        for (int i = 0; i < values.length; i++) {
            long value =
                    type == DType.I32 ? data().get(LittleEndian.I32, 4L * i) : data().get(LittleEndian.I64, 8L * i);
            if (value != (int) value) {
                throw new InvalidDataException("tensor " + Wording.quoted(name) + " holds " + value + " at index " + i
                        + ", outside the range of 32-bit integers.");
            }
            values[i] = (int) value;
        }
        return values;
    }

    /** Whether type, shape and all bytes are those of another tensor. */
    boolean sameContent(Tensor other) {
        return type == other.type && Arrays.equals(shape, other.shape) && data().mismatch(other.data()) < 0;
    }

    private int arrayLength() {
        long n = elements();
        if (n > Matrix.LONGEST_ARRAY) {
            throw new InvalidDataException(
                    "tensor " + Wording.quoted(name) + " has " + n + " elements, too many to read into an array.");
        }
        return (int) n;
    }
}
