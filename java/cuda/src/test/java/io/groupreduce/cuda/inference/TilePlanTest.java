package io.groupreduce.cuda.inference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

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
    void everyStripIsTakenOnceAndEveryBlockHasATile() {
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
            long largest = 0;
            long total = 0;
            for (Tile tile : plan.tiles) {
                assertTrue(tile.strips() >= 1 && tile.strips() <= TilePlan.TILE_STRIPS);
                for (int s = 0; s < tile.strips(); s++) {
                    taken[tile.group()][tile.firstStrip() + s]++;
                }
                largest = Math.max(largest, plan.cost(tile));
                total += plan.cost(tile);
            }
            for (int[] strips : taken) {
                for (int times : strips) {
                    assertEquals(1, times);
                }
            }
            int[] first = plan.firstTile;
            assertEquals(Math.min(mostBlocks, plan.tiles.size()), plan.blocks());
            assertEquals(0, first[0]);
            assertEquals(plan.tiles.size(), first[plan.blocks()]);
            for (int b = 0; b < plan.blocks(); b++) {
                assertTrue(first[b + 1] > first[b], "block " + b + " has no tile");
                long cost = 0;
                for (Tile tile : plan.tiles.subList(first[b], first[b + 1])) {
                    cost += plan.cost(tile);
                }
                assertTrue(cost <= total / plan.blocks() + 2 * largest, "block " + b + " has " + cost);
            }
        }
    }

    @Test
    void groupsOfOneOperandStandTogetherTheWidestFirst() {
        TilePlan plan = new TilePlan(
                List.of(
                        part(Codec.INT8, 40, 16, 64),
                        part(Codec.INT8, 40, 100, PackedPart.HIDDEN),
                        part(Codec.INT8, 40, 48, 64),
                        part(Codec.INT8, 40, 100, 0),
                        part(Codec.INT8, 40, 100, PackedPart.HIDDEN)),
                4);
        assertEquals(
                List.of(1, 4, 3, 2, 0), plan.tiles.stream().map(Tile::group).toList());
    }

    @Test
    void onlyTheEndOfAGroupMakesASmallerTile() {
        PackedPart dense = part(Codec.BF16, 512, 2048, PackedPart.HIDDEN);
        PackedPart narrow = part(Codec.INT4, 100_000, 64, 0);
        TilePlan plan = new TilePlan(List.of(dense, narrow), 264);
        int smaller = 0;
        for (Tile tile : plan.tiles) {
            boolean last = tile.group() == 1 && tile.firstStrip() + tile.strips() == narrow.strips();
            assertEquals(last ? narrow.strips() % 8 : 8, tile.strips());
            smaller += last ? 1 : 0;
        }
        assertEquals(1, smaller);
    }

    @Test
    void aTileCostsTheTimeOfItsWarps() {
        // A tile of one strip of the first group takes as long as two whole tiles of the second.
        PackedPart wide = part(Codec.BF16, 32, 1024, PackedPart.HIDDEN);
        PackedPart narrow = part(Codec.BF16, 256 * 7, 512, 0);
        TilePlan plan = new TilePlan(List.of(wide, narrow), 3);
        assertEquals(plan.cost(new Tile(0, 0, 8)), plan.cost(new Tile(0, 0, 1)));
        assertEquals(plan.cost(new Tile(0, 0, 1)), 2 * plan.cost(new Tile(1, 0, 8)) - (8 << 10));
        assertArrayEquals(new int[] {0, 2, 5, 8}, plan.firstTile);
    }
}
