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
import java.util.Arrays;
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
        int[] widths = {1, 15, 16, 17, 32, 33, 100};
        // Of numbers by slices of 16 columns, of codes by blocks of 32 and a half, which is of 2, 4 or 8 bits.
        Map<Codec, int[]> bytes = Map.of(
                Codec.F32, new int[] {2048, 2048, 2048, 4096, 4096, 6144, 14336},
                Codec.BF16, new int[] {1024, 1024, 1024, 2048, 2048, 3072, 7168},
                Codec.INT8, new int[] {512, 512, 512, 1024, 1024, 1536, 3584},
                Codec.INT4, new int[] {256, 256, 256, 512, 512, 768, 1792},
                Codec.INT3, new int[] {256, 256, 256, 384, 384, 640, 1408});
        bytes.forEach((codec, ofWidths) -> {
            for (int i = 0; i < widths.length; i++) {
                PackedPart part = part(codec, 33, widths[i], widths[i], ScaleFormat.BF16);
                assertEquals((widths[i] + 31) / 32, part.blocks());
                assertEquals(ofWidths[i], part.stripBytes(), codec + " of width " + widths[i]);
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
        MemorySegment table = MemorySegment.ofArray(new long[23]);
        part.write(table, 64, BASE, 4096, 8192);
        assertArrayEquals(new long[8], table.asSlice(0, 64).toArray(ValueLayout.JAVA_LONG));
        long[] addresses = table.asSlice(64, 40).toArray(ValueLayout.JAVA_LONG);
        assertArrayEquals(new long[] {BASE + 512, BASE + 1024, 4096 + 4 * 64, 8192 + 4 * 64, 1408}, addresses);
        int[] numbers = table.asSlice(104, 80).toArray(ValueLayout.JAVA_INT);
        int[] form = {38, 100, 3, 32, 4, ScaleFormat.LOG8.bytes(), 100, 100, 100, 0, 0, 0, 0, 0};
        assertArrayEquals(new int[] {70, 96}, Arrays.copyOf(numbers, 2));
        assertArrayEquals(form, Arrays.copyOfRange(numbers, 2, 16));
        // Three whole blocks of 3 bits, and half a block of 4.
        assertArrayEquals(new int[] {0, 3, 0, 4}, Arrays.copyOfRange(numbers, 16, 20));
    }

    @Test
    void aZeroGroupHasRowsAndNothingElse() {
        MemorySegment table = MemorySegment.ofArray(new long[15]);
        new PackedPart(null, 5, PackedPart.HIDDEN, PackedPart.NONE, PackedPart.NONE, 32).write(table, 0, BASE, 0, 64);
        long[] addresses = table.asSlice(0, 40).toArray(ValueLayout.JAVA_LONG);
        assertArrayEquals(new long[] {0, 0, 0, 64 + 4 * 32, 0}, addresses);
        int[] numbers = new int[20];
        numbers[0] = 5;
        numbers[1] = -1;
        assertArrayEquals(numbers, table.asSlice(40, 80).toArray(ValueLayout.JAVA_INT));
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
            assertEquals(2 * 1536, HeadLayout.panelBytes(layout.groups, 2));
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
