package io.groupreduce.internal.packed;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.LittleEndian;
import io.groupreduce.matrix.ScaleFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntFunction;

/**
 * The groups and codes of all rows, entropy-coded. Rows of a group share a step, which is the scale of their INT8 codes, and a rank.
 *
 * <p>In this order: a byte a direction, its deviation; a byte a group, its step (both of {@link ScaleFormat#LOG8}); a signed byte a group,
 * its gain; a byte a group, how likely it is; {@link CoordinateModel#TOKENS} bytes a class, its table; the length of every block of {@link #BLOCK} rows, 4 bytes each,
 * little-endian; the blocks. In a block each row is its group, then its codes.
 *
 * @param deviations of the directions
 * @param steps of the groups, 0 for rows of zeros
 * @param gains of the groups: how much larger rows are than directions tell, in eighths of an octave
 * @param ranks of the groups
 * @param groups how likely each group is
 * @param model how likely codes are
 */
public record PackedRows(
        int[] deviations, int[] steps, byte[] gains, int[] ranks, SymbolTable groups, CoordinateModel model) {
    /** Rows that are decoded one after the other. */
    public static final int BLOCK = 2048;

    /** Bytes of a block beside its symbols. */
    public static final int BLOCK_BYTES = Integer.BYTES + Rans.STATE_BYTES;

    /** Bytes before the lengths of blocks. */
    public static long headBytes(int directions, int groups) {
        return directions + 3L * groups + CoordinateModel.CLASSES * CoordinateModel.TOKENS;
    }

    /**
     * Puts everything together.
     *
     * @param blocks all blocks of rows in order, as {@link BlockEncoder} made them
     */
    public byte[] join(List<byte[]> blocks) {
        long size = headBytes(deviations.length, steps.length)
                + blocks.stream()
                        .mapToLong(b -> b.length + (long) Integer.BYTES)
                        .sum();
        byte[] all = new byte[Math.toIntExact(size)];
        int at = 0;
        for (int deviation : deviations) {
            all[at++] = (byte) deviation;
        }
        for (int step : steps) {
            all[at++] = (byte) step;
        }
        at = append(all, at, gains);
        at = append(all, at, groups.stored());
        for (int c = 0; c < CoordinateModel.CLASSES; c++) {
            at = append(all, at, model.table(c).stored());
        }
        MemorySegment segment = MemorySegment.ofArray(all);
        for (byte[] block : blocks) {
            segment.set(LittleEndian.I32, at, block.length);
            at += Integer.BYTES;
        }
        for (byte[] block : blocks) {
            at = append(all, at, block);
        }
        return all;
    }

    private static int append(byte[] target, int at, byte[] piece) {
        System.arraycopy(piece, 0, target, at, piece.length);
        return at + piece.length;
    }

    /** Codes the rows of a block. */
    public final class BlockEncoder {
        private final Rans.Encoder encoder = new Rans.Encoder();

        public void row(int group, byte[] codes, int from) {
            groups.put(encoder, group);
            model.encode(encoder, codes, from, ranks[group], deviations, steps[group] - gains[group]);
        }

        public byte[] finish() {
            return encoder.finish();
        }
    }

    /**
     * What was packed.
     *
     * @param groupOf the group of every row
     * @param left per group its codes, INT8 with a scale of one byte a row; {@code null} for rows of zeros
     * @param model how likely codes are, which {@link PackedRight} needs
     */
    public record Unpacked(byte[] groupOf, List<EncodedMatrix> left, CoordinateModel model) {}

    /**
     * Unpacks.
     *
     * @param packed what {@link #join} made
     * @param rows how many there are
     * @param directions of the right factor
     * @param ranks of the groups, each at most {@code directions}
     * @param arena owns the memory of the codes
     * @throws IllegalArgumentException if it was not packed like that; the message is a sentence without its end
     */
    public static Unpacked unpack(MemorySegment packed, int rows, int directions, int[] ranks, Arena arena) {
        int blocks = Math.ceilDiv(rows, BLOCK);
        long lengths = headBytes(directions, ranks.length);
        long at = lengths + (long) blocks * Integer.BYTES;
        require(packed.byteSize() >= at, "packed rows are too short for their tables");
        int[] deviations = bytes(packed, 0, directions);
        int[] steps = bytes(packed, directions, ranks.length);
        for (int g = 0; g < steps.length; g++) {
            require(steps[g] > 0 == ranks[g] > 0, "packed rows of rank " + ranks[g] + " have step " + steps[g]);
        }
        long perGroup = directions + (long) ranks.length;
        byte[] gains = packed.asSlice(perGroup, ranks.length).toArray(ValueLayout.JAVA_BYTE);
        PackedRows model = new PackedRows(
                deviations,
                steps,
                gains,
                ranks,
                table(packed, perGroup + ranks.length, ranks.length),
                coordinates(packed, perGroup + 2L * ranks.length));
        byte[] groupOf = new byte[rows];
        byte[][] codes = new byte[blocks][];
        long numbers = 0;
        for (int b = 0; b < blocks; b++) {
            long length = packed.get(LittleEndian.I32, lengths + (long) b * Integer.BYTES);
            require(
                    length >= Rans.STATE_BYTES && length <= packed.byteSize() - at,
                    "packed rows have a block of " + length + " bytes");
            byte[] block = packed.asSlice(at, length).toArray(ValueLayout.JAVA_BYTE);
            at += length;
            int first = b * BLOCK;
            codes[b] = model.read(new Rans.Decoder(block), groupOf, first, (int) Math.min(rows, first + (long) BLOCK));
            numbers += codes[b].length;
            PackedMatrix.requireLikely(numbers, at);
        }
        require(at == packed.byteSize(), "packed rows have bytes left over");
        return new Unpacked(groupOf, model.left(groupOf, b -> codes[b], arena), model.model);
    }

    private byte[] read(Rans.Decoder decoder, byte[] groupOf, int first, int end) {
        byte[] codes = new byte[longest()];
        int at = 0;
        for (int i = first; i < end; i++) {
            int group = groups.take(decoder);
            groupOf[i] = (byte) group;
            if (codes.length < at + ranks[group]) {
                codes = Arrays.copyOf(codes, 2 * codes.length + ranks[group]);
            }
            model.read(decoder, codes, at, ranks[group], deviations, steps[group] - gains[group]);
            at += ranks[group];
        }
        require(decoder.isDone(), "a block of packed rows does not end where its rows do");
        return Arrays.copyOf(codes, at);
    }

    private int longest() {
        int longest = 0;
        for (int rank : ranks) {
            longest = Math.max(longest, rank);
        }
        return longest;
    }

    /** Sorts the codes of rows, block by block one row after the other, into groups. */
    public List<EncodedMatrix> left(byte[] groupOf, IntFunction<byte[]> codes, Arena arena) {
        long[] sizes = new long[ranks.length];
        for (byte g : groupOf) {
            sizes[g & 0xff]++;
        }
        List<EncodedMatrix> left = new ArrayList<>();
        for (int g = 0; g < ranks.length; g++) {
            BitProfile profile = BitProfile.of(Codec.INT8, ranks[g]);
            left.add(
                    ranks[g] == 0
                            ? null
                            : EncodedMatrix.allocate(arena, profile, sizes[g], ranks[g], ScaleFormat.LOG8));
            if (ranks[g] > 0) {
                left.get(g).scales().fill((byte) steps[g]);
            }
        }
        long[] next = new long[ranks.length];
        byte[] row = new byte[longest()];
        for (int b = 0; b < Math.ceilDiv(groupOf.length, BLOCK); b++) {
            int first = b * BLOCK;
            byte[] block = codes.apply(b);
            int at = 0;
            for (int i = first; i < (int) Math.min(groupOf.length, first + (long) BLOCK); i++) {
                int g = groupOf[i] & 0xff;
                for (int j = 0; j < ranks[g]; j++) {
                    row[j] = (byte) (block[at++] + 128);
                }
                if (ranks[g] > 0) {
                    MemorySegment.copy(
                            row, 0, left.get(g).data(), ValueLayout.JAVA_BYTE, ranks[g] * next[g]++, ranks[g]);
                }
            }
        }
        return left;
    }

    private static int[] bytes(MemorySegment packed, long from, int count) {
        int[] values = new int[count];
        for (int k = 0; k < count; k++) {
            values[k] = packed.get(ValueLayout.JAVA_BYTE, from + k) & 0xff;
        }
        return values;
    }

    private static SymbolTable table(MemorySegment packed, long from, int symbols) {
        return new SymbolTable(packed.asSlice(from, symbols).toArray(ValueLayout.JAVA_BYTE));
    }

    private static CoordinateModel coordinates(MemorySegment packed, long from) {
        SymbolTable[] tables = new SymbolTable[CoordinateModel.CLASSES];
        for (int c = 0; c < tables.length; c++) {
            tables[c] = table(packed, from + (long) c * CoordinateModel.TOKENS, CoordinateModel.TOKENS);
        }
        return new CoordinateModel(tables);
    }

    private static void require(boolean condition, String what) {
        if (!condition) {
            throw new IllegalArgumentException(what);
        }
    }
}
