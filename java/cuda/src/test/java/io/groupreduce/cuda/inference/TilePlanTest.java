package io.groupreduce.cuda.inference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.cuda.inference.TilePlan.Segment;
import io.groupreduce.cuda.inference.TilePlan.Tile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.ScaleFormat;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class TilePlanTest {
    private static PackedPart part(Codec codec, int rows, int width, int operand) {
        return new PackedPart(TestHeads.shape(codec, rows, width, width, ScaleFormat.BF16), rows, operand, 0, 0, 0);
    }

    @Test
    void everyStripIsTakenOnceAndEveryBlockHasASegment() {
        SplittableRandom random = new SplittableRandom(1);
        for (int round = 0; round < 200; round++) {
            List<PackedPart> parts = new ArrayList<>();
            for (int g = random.nextInt(1, 20); g >= 0; g--) {
                Codec codec = Codec.values()[random.nextInt(5)];
                int rows = random.nextInt(3) == 0 ? random.nextInt(3) : random.nextInt(5000);
                parts.add(part(codec, rows, random.nextInt(1, 900), 32 * random.nextInt(-1, 4)));
            }
            parts.add(new PackedPart(null, random.nextInt(1, 300), PackedPart.HIDDEN, -1, -1, 0));
            int mostBlocks = random.nextInt(1, 300);
            TilePlan plan = new TilePlan(parts, mostBlocks);
            int[][] taken = parts.stream().map(p -> new int[p.strips()]).toArray(int[][]::new);
            for (Tile tile : plan.tiles) {
                assertTrue(tile.strips() >= 0 && tile.strips() <= TilePlan.TILE_STRIPS);
                for (int s = 0; s < tile.strips(); s++) {
                    taken[tile.group()][tile.firstStrip() + s]++;
                }
            }
            for (int[] strips : taken) {
                for (int times : strips) {
                    assertEquals(1, times);
                }
            }
            checkBlocks(plan, parts, mostBlocks);
        }
    }

    private static long cost(TilePlan plan, Segment segment) {
        return (segment.strips() + 7) / 8 * plan.cost(segment.group());
    }

    /** Every block has a segment and about as much to do as the others. */
    private static void checkBlocks(TilePlan plan, List<PackedPart> parts, int mostBlocks) {
        int rows = parts.stream().mapToInt(p -> (p.strips() + 7) / 8).sum();
        int[] first = plan.firstSegment;
        assertEquals(Math.min(mostBlocks, rows), plan.blocks());
        assertEquals(0, first[0]);
        assertEquals(plan.segments.size(), first[plan.blocks()]);
        double total = plan.segments.stream().mapToLong(s -> cost(plan, s)).sum();
        long largest = 0;
        for (Segment segment : plan.segments) {
            largest = Math.max(largest, plan.cost(segment.group()));
        }
        for (int b = 0; b < plan.blocks(); b++) {
            assertTrue(first[b + 1] > first[b], "block " + b + " has nothing");
            long cost = 0;
            for (Segment segment : plan.segments.subList(first[b], first[b + 1])) {
                cost += cost(plan, segment);
            }
            assertTrue(cost <= total / plan.blocks() + 2 * largest, "block " + b + " has " + cost);
        }
    }

    @Test
    void theTilesOfAWarpAreThoseOfItsPartOfASegment() {
        TilePlan plan = new TilePlan(List.of(part(Codec.INT4, 32 * 141, 64, 0)), 1);
        assertEquals(List.of(new Segment(0, 0, 141, 0)), plan.segments);
        assertEquals(24, plan.tiles.size());
        for (int warp = 0; warp < 8; warp++) {
            int strip = warp * 141 / 8;
            for (int t = 0; t < 3; t++) {
                int left = (warp + 1) * 141 / 8 - strip - 8 * t;
                assertEquals(new Tile(0, strip + 8 * t, Math.clamp(left, 0, 8)), plan.tiles.get(3 * warp + t));
            }
        }
    }

    @Test
    void blocksTakeEqualTimes() {
        // Eight strips of the first group take as long as sixteen of the second.
        PackedPart wide = part(Codec.BF16, 32, 1024, PackedPart.HIDDEN);
        PackedPart narrow = part(Codec.BF16, 256 * 7, 496, 0);
        TilePlan plan = new TilePlan(List.of(wide, narrow), 3);
        assertEquals(plan.cost(0), 2 * plan.cost(1) + (16 << 10) - 8 * 1024);
        assertArrayEquals(new int[] {0, 2, 3, 4}, plan.firstSegment);
        assertEquals(new Segment(0, 0, 1, 0), plan.segments.get(0));
        assertEquals(
                List.of(8, 24, 24),
                plan.segments.subList(1, 4).stream().map(Segment::strips).toList());
    }
}
