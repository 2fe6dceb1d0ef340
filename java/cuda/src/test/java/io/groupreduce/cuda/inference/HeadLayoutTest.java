package io.groupreduce.cuda.inference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.cuda.inference.HeadLayout.Table;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.ScaleFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

class HeadLayoutTest {
    private static final long BASE = 1L << 40;

    private static PackedPart part(Codec codec, int rows, int width, int block, ScaleFormat format) {
        EncodedMatrix stored = TestHeads.shape(codec, rows, width, block, format);
        return new PackedPart(stored, rows, 96, 512, 1024, 64);
    }

    @Test
    void stripsAreAsLongAsTheirCodecsPieces() {
        Map<Codec, Integer> sliceBytes =
                Map.of(Codec.F32, 2048, Codec.BF16, 1024, Codec.INT8, 512, Codec.INT4, 512, Codec.INT3, 512);
        sliceBytes.forEach((codec, bytes) -> {
            for (int width : new int[] {1, 15, 16, 17, 32, 33, 100}) {
                PackedPart part = part(codec, 33, width, width, ScaleFormat.BF16);
                assertEquals((width + 15) / 16, part.slices());
                assertEquals((width + 15) / 16 * (long) bytes, part.stripBytes(), codec + " of width " + width);
                assertEquals(2, part.strips());
                assertEquals(2 * part.stripBytes(), PackedPart.packedBytes(part.stored()));
            }
        });
    }

    @Test
    void scalesAreRoundedUpToWholeStrips() {
        assertEquals(64 * 2, scaleBytes(part(Codec.INT8, 33, 100, 100, ScaleFormat.BF16)));
        assertEquals(64 * 4 * 4, scaleBytes(part(Codec.INT4, 33, 100, 32, ScaleFormat.F32)));
        assertEquals(32 * 2, scaleBytes(part(Codec.INT3, 32, 33, 32, ScaleFormat.LOG8)));
        assertEquals(0, scaleBytes(part(Codec.BF16, 33, 100, 100, ScaleFormat.F32)));
    }

    private static long scaleBytes(PackedPart part) {
        return PackedPart.scaleBytes(part.stored());
    }

    @Test
    void writesTheStructureOfTheKernels() {
        PackedPart part = part(Codec.INT3, 70, 100, 32, ScaleFormat.LOG8);
        MemorySegment table = MemorySegment.ofArray(new long[16]);
        part.write(table, 64, BASE, 4096, 8192);
        assertArrayEquals(new long[8], table.asSlice(0, 64).toArray(ValueLayout.JAVA_LONG));
        long[] addresses = table.asSlice(64, 40).toArray(ValueLayout.JAVA_LONG);
        assertArrayEquals(new long[] {BASE + 512, BASE + 1024, 4096 + 4 * 64, 8192 + 4 * 64, 7 * 512}, addresses);
        int[] numbers = table.asSlice(104, 24).toArray(ValueLayout.JAVA_INT);
        int formats = 2 | ScaleFormat.LOG8.bytes() << 16;
        assertArrayEquals(new int[] {70, 7, formats, 4, 96, 100}, numbers);
    }

    @Test
    void aZeroGroupHasRowsAndNothingElse() {
        MemorySegment table = MemorySegment.ofArray(new long[8]);
        new PackedPart(null, 5, PackedPart.HIDDEN, PackedPart.NONE, PackedPart.NONE, 32).write(table, 0, BASE, 0, 64);
        long[] addresses = table.asSlice(0, 40).toArray(ValueLayout.JAVA_LONG);
        assertArrayEquals(new long[] {0, 0, 0, 64 + 4 * 32, 0}, addresses);
        int[] numbers = table.asSlice(40, 24).toArray(ValueLayout.JAVA_INT);
        assertArrayEquals(new int[] {5, 0, 0, 1, -1, 0}, numbers);
    }

    @Test
    void partsAndTablesLieApart() {
        try (Arena arena = Arena.ofConfined()) {
            CompressedMatrix matrix = TestHeads.small(arena, 1);
            for (boolean biased : new boolean[] {false, true}) {
                HeadLayout layout = new HeadLayout(matrix, biased, 8);
                TreeMap<Long, Long> ends = new TreeMap<>();
                for (PackedPart part : layout.rights) {
                    add(ends, part);
                }
                for (PackedPart part : layout.groups) {
                    add(ends, part);
                }
                HeadTables tables = new HeadTables(layout, matrix, biased ? new float[matrix.rows()] : null, BASE);
                for (Table table : Table.values()) {
                    if (table != Table.BIAS || biased) {
                        add(ends, layout.at(table), tables.table(table).byteSize());
                    }
                }
                long end = 0;
                for (Map.Entry<Long, Long> range : ends.entrySet()) {
                    assertTrue(range.getKey() >= end, range + " overlaps what ends at " + end);
                    assertEquals(0, range.getKey() % HeadLayout.ALIGNMENT);
                    end = range.getValue();
                }
                assertTrue(end <= layout.bytes() && end > layout.bytes() - HeadLayout.ALIGNMENT);
            }
        }
    }

    private static void add(TreeMap<Long, Long> ends, PackedPart part) {
        if (part.codes() != PackedPart.NONE) {
            add(ends, part.codes(), PackedPart.packedBytes(part.stored()));
        }
        if (part.scales() != PackedPart.NONE) {
            add(ends, part.scales(), PackedPart.scaleBytes(part.stored()));
        }
    }

    private static void add(TreeMap<Long, Long> ends, long at, long bytes) {
        assertTrue(bytes > 0 && ends.put(at, at + bytes) == null, "two parts at " + at);
    }

    @Test
    void coordinatesAndSlotsAreRoundedUpToStrips() {
        try (Arena arena = Arena.ofConfined()) {
            HeadLayout layout = new HeadLayout(TestHeads.small(arena, 1), false, 8);
            assertEquals(32 + 64, layout.directions());
            assertEquals(3, layout.rightTiles.size());
            assertArrayEquals(
                    new int[] {0, 32, 0, PackedPart.HIDDEN, PackedPart.HIDDEN},
                    layout.groups.stream().mapToInt(PackedPart::operand).toArray());
            assertArrayEquals(
                    new int[] {0, 320, 416, 544, 608},
                    layout.groups.stream().mapToInt(PackedPart::firstSlot).toArray());
            assertEquals(640, layout.slots());
            assertEquals(3, layout.mostSlices());
        }
    }

    @Test
    void tablesTurnTokensIntoSlotsAndBack() {
        try (Arena arena = Arena.ofConfined()) {
            CompressedMatrix matrix = TestHeads.small(arena, 1);
            float[] bias = new float[matrix.rows()];
            for (int token = 0; token < bias.length; token++) {
                bias[token] = 1000 + token;
            }
            HeadLayout layout = new HeadLayout(matrix, true, 8);
            HeadTables tables = new HeadTables(layout, matrix, bias, BASE);
            MemorySegment tokens = tables.table(Table.TOKENS);
            MemorySegment values = tables.table(Table.BIAS);
            for (int token = 0; token < matrix.rows(); token++) {
                int group = tables.table(Table.GROUP_OF).get(ValueLayout.JAVA_BYTE, token);
                int slot = tables.table(Table.SLOT_OF).getAtIndex(ValueLayout.JAVA_INT, token);
                assertEquals(matrix.group(token), group);
                assertEquals(matrix.slot(token), slot);
                int place = layout.groups.get(group).firstSlot() + slot;
                assertEquals(token, tokens.getAtIndex(ValueLayout.JAVA_INT, place));
                assertEquals(bias[token], values.getAtIndex(ValueLayout.JAVA_FLOAT, place));
            }
            assertArrayEquals(
                    new int[] {0, 1, 0, -1, -1}, tables.table(Table.BASIS_OF).toArray(ValueLayout.JAVA_INT));
            assertEquals(1, tables.table(Table.LOG8).getAtIndex(ValueLayout.JAVA_FLOAT, 192));
        }
    }

    @Test
    void storedRowsComeInPiecesOfWholeStrips() {
        PackedPart large = part(Codec.F32, 1_000_000, 1024, 1024, ScaleFormat.F32);
        assertEquals(4096, HeadLayout.pieceRows(large));
        assertEquals(32, HeadLayout.pieceRows(part(Codec.F32, 1_000_000, 46_340 * 4, 1, ScaleFormat.F32)));
        assertEquals(96, HeadLayout.pieceRows(part(Codec.INT4, 70, 3, 3, ScaleFormat.F32)));
        CompressedMatrix wide =
                new TestHeads(1024).group(GroupPlan.DENSE, large.stored()).build("wide");
        assertEquals(16 << 20, new HeadLayout(wide, false, 8).pieceBytes());
    }
}
