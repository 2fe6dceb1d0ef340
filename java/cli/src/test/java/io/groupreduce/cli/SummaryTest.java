package io.groupreduce.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.ScaleFormat;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** A matrix of many groups in words. */
class SummaryTest {
    private static final int COLUMNS = 40;

    /** Groups of a row each: of two bases and widest coordinates of 4 and 6 bits, of ranks from 10 up; then dense rows, then zeros. */
    private static CompressedMatrix matrix(int lowRank) {
        List<GroupPlan> plans = new ArrayList<>();
        for (int g = 0; g < lowRank; g++) {
            int most = g % 2 == 0 ? 6 : 4;
            int[] bits = IntStream.range(0, 10 + g / 4)
                    .map(j -> Math.max(1, most - j / 3))
                    .toArray();
            plans.add(new GroupPlan(g / 2 % 2, BitProfile.of(bits)));
        }
        plans.add(GroupPlan.dense(COLUMNS, Codec.INT4));
        plans.add(GroupPlan.zero());
        byte[] groupOf = new byte[plans.size()];
        List<EncodedMatrix> left = new ArrayList<>();
        for (int g = 0; g < groupOf.length; g++) {
            GroupPlan plan = plans.get(g);
            groupOf[g] = (byte) g;
            left.add(plan.isZero() ? null : allocate(plan.profile(), 1, plan.block()));
        }
        List<EncodedMatrix> right = List.of(
                allocate(BitProfile.of(Codec.INT8, COLUMNS), COLUMNS, 32),
                allocate(BitProfile.of(Codec.INT8, COLUMNS), COLUMNS, 32));
        return new CompressedMatrix("m", COLUMNS, groupOf, plans, left, right);
    }

    private static EncodedMatrix allocate(BitProfile profile, int rows, int block) {
        return EncodedMatrix.allocate(Arena.ofAuto(), profile, rows, block, ScaleFormat.LOG8);
    }

    private static List<String> lines(CompressedMatrix matrix) {
        return Summary.lines(matrix, Summary.Source.of(Map.of(), matrix));
    }

    @Test
    void manyGroupsAreSummedUpByBasisAndWidestNumber() {
        List<String> lines = lines(matrix(48));
        assertTrue(lines.get(1).contains("2 bases of 3.36 kB, 50 groups"), lines.get(1));
        List<String> table = lines.subList(2, lines.size()).stream()
                .map(line -> line.strip().replaceAll(" +", " "))
                .toList();
        assertEquals("basis bits groups rows ranks bytes a row left right", table.get(0));
        assertEquals(7, table.size(), table.toString());
        assertTrue(table.get(1).startsWith("0 6..1 bits 12 12 10-21 "), table.get(1));
        assertTrue(table.get(2).startsWith("0 4..1 bits 12 12 10-21 "), table.get(2));
        assertTrue(table.get(3).startsWith("1 6..1 bits 12 12 10-21 "), table.get(3));
        // 40 nibbles and two scales of a byte.
        assertEquals("dense int4 1 1 40 22 22 B -", table.get(5));
        assertEquals("zero - 1 1 - 0 0 B -", table.get(6));
        assertTrue(lines.stream().allMatch(line -> line.length() <= 150), lines.toString());
    }

    @Test
    void fewGroupsHaveALineEach() {
        List<String> table = lines(matrix(4)).stream()
                .map(line -> line.strip().replaceAll(" +", " "))
                .toList();
        assertEquals("group rows rank bits bits a number bytes a row left basis right", table.get(2));
        // 3 x 6, 3 x 5, 3 x 4 and 3 bits are 48; 6 bytes and a scale.
        assertTrue(table.get(3).startsWith("0 1 10 6..3 bits 4.8 7 7 B 0 "), table.get(3));
        assertEquals("4 1 dense int4 4.0 22 22 B - -", table.get(7));
        assertEquals(9, table.size());
    }

    @Test
    void theDocumentSaysBitsAndCoordinates() {
        CompressedMatrix matrix = matrix(1);
        Map<String, Object> document = Summary.document(matrix, Summary.Source.of(Map.of(), matrix));
        assertEquals((10 + 40) / 3.0, document.get("coordinatesPerRow"));
        assertEquals(matrix.headerBytes(), document.get("headerBytes"));
        assertEquals(2L * 40 * (40 + 2), document.get("rightBytes"));
        Map<?, ?> first = (Map<?, ?>) ((List<?>) document.get("groups")).get(0);
        assertEquals("6x3.3.3.1", first.get("bits"));
        assertEquals(4.8, first.get("bitsPerNumber"));
        assertEquals(7L, first.get("rowBytes"));
    }
}
