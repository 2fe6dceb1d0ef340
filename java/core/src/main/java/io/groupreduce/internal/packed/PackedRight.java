package io.groupreduce.internal.packed;

import io.groupreduce.matrix.Bf16;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.LittleEndian;
import io.groupreduce.matrix.ScaleFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The codes of a right factor, entropy-coded like those of rows: each of its rows has a step, the scale of its INT8 codes, and a deviation
 * that all columns share.
 *
 * <p>In this order: the steps of all rows, bfloat16; a signed byte a row, the logarithm of its deviation in steps, in eighths of an octave;
 * one block with the codes of all rows.
 */
public final class PackedRight {
    private PackedRight() {}

    /** Bytes before the block. */
    private static long headBytes(int rank) {
        return 3L * rank;
    }

    /** Bytes of all but the symbols. */
    public static long fixedBytes(int rank) {
        return headBytes(rank) + Rans.STATE_BYTES;
    }

    /**
     * Packs.
     *
     * @param codes of all rows
     * @param steps by row, each a bfloat16
     * @param deviations by row
     */
    public static byte[] pack(byte[] codes, float[] steps, byte[] deviations, CoordinateModel model) {
        Rans.Encoder encoder = new Rans.Encoder();
        int rank = steps.length;
        int columns = codes.length / Math.max(1, rank);
        int[] flat = new int[columns];
        for (int k = 0; k < rank; k++) {
            model.encode(encoder, codes, k * columns, columns, flat, -deviations[k]);
        }
        byte[] block = encoder.finish();
        byte[] all = new byte[Math.toIntExact(headBytes(rank) + block.length)];
        MemorySegment target = MemorySegment.ofArray(all);
        for (int k = 0; k < rank; k++) {
            target.set(LittleEndian.I16, (long) k * Short.BYTES, Bf16.round(steps[k]));
        }
        System.arraycopy(deviations, 0, all, rank * Short.BYTES, rank);
        System.arraycopy(block, 0, all, (int) headBytes(rank), block.length);
        return all;
    }

    /**
     * Unpacks.
     *
     * @param packed what {@link #pack} made
     * @param rank how many rows there are
     * @param columns of each
     * @param model of the rows that the factor belongs to
     * @param arena owns the memory of the codes
     * @throws IllegalArgumentException if it was not packed like that; the message is a sentence without its end
     */
    public static EncodedMatrix unpack(
            MemorySegment packed, int rank, int columns, CoordinateModel model, Arena arena) {
        if (packed.byteSize() < fixedBytes(rank)) {
            throw new IllegalArgumentException("a packed right factor is too short for " + rank + " directions");
        }
        PackedMatrix.requireLikely((long) rank * columns, packed.byteSize());
        EncodedMatrix right =
                EncodedMatrix.allocate(arena, BitProfile.of(Codec.INT8, columns), rank, columns, ScaleFormat.BF16);
        right.scales().copyFrom(packed.asSlice(0, right.scales().byteSize()));
        byte[] deviations = packed.asSlice(right.scales().byteSize(), rank).toArray(ValueLayout.JAVA_BYTE);
        Rans.Decoder decoder = new Rans.Decoder(packed.asSlice(headBytes(rank)).toArray(ValueLayout.JAVA_BYTE));
        int[] flat = new int[columns];
        byte[] codes = new byte[columns];
        for (int k = 0; k < rank; k++) {
            model.read(decoder, codes, 0, columns, flat, -deviations[k]);
            for (int j = 0; j < columns; j++) {
                codes[j] += (byte) 128;
            }
            MemorySegment.copy(codes, 0, right.data(), ValueLayout.JAVA_BYTE, (long) k * columns, columns);
        }
        if (!decoder.isDone()) {
            throw new IllegalArgumentException(
                    "a packed right factor does not end where its " + rank + " directions do");
        }
        return right;
    }
}
