package io.groupreduce.matrix;

import io.groupreduce.error.InvalidDataException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Objects;

/**
 * A dense row-major matrix of F32, F16 or BF16 numbers in a mapped file, off-heap memory or an array, read a few rows at a
 * time as binary32. It owns no memory and may be read by any number of threads.
 */
public final class Matrix {
    /** The longest array that every Java machine can make. */
    public static final int LONGEST_ARRAY = Integer.MAX_VALUE - 8;

    private final String name;
    private final String tensor;
    private final DType type;
    private final int rows;
    private final int columns;
    private final MemorySegment data;
    private final String storedType;
    private final long storedBytes;

    private Matrix(
            String name,
            String tensor,
            DType type,
            int rows,
            int columns,
            MemorySegment data,
            String storedType,
            long storedBytes) {
        this.name = name;
        this.tensor = tensor;
        this.type = type;
        this.rows = rows;
        this.columns = columns;
        this.data = data;
        this.storedType = storedType;
        this.storedBytes = storedBytes;
    }

    /**
     * A view of {@code rows * columns} stored numbers.
     *
     * @param name what messages call it: file and tensor
     * @throws InvalidDataException if the type is not F32, F16 or BF16, a side is 0 or over 2^31 - 1, or the bytes do not fit
     */
    public static Matrix of(String name, DType type, long rows, long columns, MemorySegment data) {
        Objects.requireNonNull(data, "data");
        if (!type.compressible()) {
            throw new InvalidDataException(name + " has element type " + type + " " + type.advice() + ".");
        }
        if (rows < 1 || columns < 1 || rows > Integer.MAX_VALUE || columns > Integer.MAX_VALUE) {
            throw new InvalidDataException(
                    name + " has shape [" + rows + ", " + columns + "]; both sides must lie between 1 and 2^31 - 1.");
        }
        if (data.byteSize() / columns / type.bytes() != rows || data.byteSize() != rows * columns * type.bytes()) {
            throw new InvalidDataException(name + " of shape [" + rows + ", " + columns + "] and type " + type
                    + " needs " + rows * columns * type.bytes() + " bytes but has " + data.byteSize() + ".");
        }
        return new Matrix(name, name, type, (int) rows, (int) columns, data, type.name(), data.byteSize());
    }

    /** A view of a row-major array; later changes of the array show through. */
    public static Matrix of(String name, float[] values, int rows, int columns) {
        return of(name, DType.F32, rows, columns, MemorySegment.ofArray(values));
    }

    /** This matrix times a factor: itself at 1, else F32 in memory of its own. */
    public Matrix times(double factor) {
        if (factor == 1) {
            return this;
        }
        MemorySegment scaled = Arena.ofAuto().allocate((long) rows * columns * Float.BYTES, Float.BYTES);
        float[] row = new float[columns];
        for (int i = 0; i < rows; i++) {
            readRow(i, row, 0);
            for (int j = 0; j < columns; j++) {
                row[j] *= (float) factor;
            }
            MemorySegment.copy(row, 0, scaled, LittleEndian.F32, (long) i * columns * Float.BYTES, columns);
        }
        return of(name, DType.F32, rows, columns, scaled);
    }

    /** The same matrix, of a tensor that a file calls so; messages keep their name for it. */
    public Matrix ofTensor(String itsName) {
        return new Matrix(name, itsName, type, rows, columns, data, storedType, storedBytes);
    }

    /** The same matrix, which its file has in a type of its own: its numbers were decoded from that. */
    public Matrix storedAs(String itsType, long itsBytes) {
        return new Matrix(name, tensor, type, rows, columns, data, itsType, itsBytes);
    }

    /** What messages call it. */
    public String name() {
        return name;
    }

    /** What a file calls it. */
    public String tensor() {
        return tensor;
    }

    public DType type() {
        return type;
    }

    /** N: the vocabulary size. */
    public int rows() {
        return rows;
    }

    /** D: the hidden size. */
    public int columns() {
        return columns;
    }

    /** The numbers, {@link #bytes()} of them. */
    public MemorySegment data() {
        return data;
    }

    /** Bytes of its numbers in its type. */
    public long bytes() {
        return data.byteSize();
    }

    /** What its file calls the type that it has there. */
    public String storedType() {
        return storedType;
    }

    /** What it takes in its file: what sizes of compressed forms are compared with. */
    public long storedBytes() {
        return storedBytes;
    }

    /** A view of {@code count} rows from {@code first} on. */
    public Matrix slice(int first, int count) {
        Objects.checkFromIndexSize(first, count, rows);
        long rowBytes = (long) columns * type.bytes();
        return of(name, type, count, columns, data.asSlice(first * rowBytes, count * rowBytes));
    }

    /** Reads row {@code row} into {@code target[offset .. offset + columns)}. */
    public void readRow(long row, float[] target, int offset) {
        readRows(row, 1, target, offset);
    }

    /** Reads rows {@code first .. first + count - 1} one after the other into {@code target} from {@code offset} on. */
    public void readRows(long first, int count, float[] target, int offset) {
        int n = Math.multiplyExact(count, columns);
        long at = first * columns * type.bytes();
        switch (type) {
            case F32 -> MemorySegment.copy(data, LittleEndian.F32, at, target, offset, n);
            case F16 -> {
                for (int j = 0; j < n; j++) {
                    target[offset + j] = Float.float16ToFloat(data.get(LittleEndian.I16, at + 2L * j));
                }
            }
            case BF16 -> {
                for (int j = 0; j < n; j++) {
                    target[offset + j] = Bf16.widen(data.get(LittleEndian.I16, at + 2L * j));
                }
            }
            default -> throw new IllegalStateException("unreadable type " + type);
        }
    }
}
