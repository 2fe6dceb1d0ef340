package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.TILE;
import static io.groupreduce.vector.inference.Scratch.PANEL;
import static io.groupreduce.vector.kernel.Lanes.LANES;
import static io.groupreduce.vector.kernel.Lanes.NR;

import io.groupreduce.vector.inference.TileLayout.Run;
import io.groupreduce.vector.kernel.Gemm;
import java.util.Arrays;

/** Many states over all tiles: a tile is decoded once and meets all of them, unless it has no token that one of them asks about. */
final class BatchSweep {
    /** Tiles of a group from which on it is worth making tables. */
    private static final int FEWEST_TILES = 4;

    private final HeadPass pass;
    private final PackedHead head;
    private final StateProjection projection;

    BatchSweep(HeadPass pass, PackedHead head, StateProjection projection) {
        this.pass = pass;
        this.head = head;
        this.projection = projection;
    }

    /** Computes the logits of a tile and has them consumed. */
    void sweep(int tile, int states, Scratch s) {
        float least = Float.POSITIVE_INFINITY;
        for (int state = 0; state < states; state++) {
            least = Math.min(least, pass.turnTo(state, tile, s));
        }
        if (least == Float.POSITIVE_INFINITY) {
            return;
        }
        PackedHead.Group group = head.group(tile);
        int rank = group.rank();
        int products = rank == 0 || !tabled(group) ? rank : group.layout().tablesFrom();
        if (products == 0) {
            Arrays.fill(s.logits, 0, states * TILE, 0f);
        } else {
            int index = projection.index(group.basis());
            float[] panels = s.panels();
            float[] z = projection.z[index];
            int stride = projection.stride(index);
            for (int m = 0; m < products; m += TileKernel.DIRECTIONS) {
                int directions = Math.min(TileKernel.DIRECTIONS, products - m);
                TileDecoder.decode(head, tile, m, directions, panels, PANEL);
                for (int p = 0; p < TILE / NR; p++) {
                    Gemm.panel(z, m, stride, states, directions, panels, p * PANEL, s.logits, p * NR, TILE, m > 0);
                }
            }
        }
        if (products < rank) {
            lookUp(tile, states, group, s);
        }
        for (int state = 0; state < states; state++) {
            head.finish(tile, s.logits, state * TILE);
            pass.consume(state, tile, s.logits, state * TILE, s);
        }
    }

    /** Whether making tables for all states pays: a few tiles must share them, and one scale must serve a row. */
    private static boolean tabled(PackedHead.Group group) {
        return group.tiles() >= FEWEST_TILES && group.segmentScales() == null;
    }

    private void lookUp(int tile, int states, PackedHead.Group group, Scratch s) {
        float[] tables = s.tables(group, projection, states);
        int stride = group.layout().tableNumbers();
        int at = 0;
        for (Run run : group.layout().runs) {
            if (run.kept().tables) {
                long codes = group.codesAt(tile) + run.at();
                int rows = Math.ceilDiv(run.end() - run.from(), run.kept().together);
                for (int state = 0; state < states; state += TableKernel.STATES) {
                    int z = state * stride + at;
                    if (state == states - 1) {
                        TableKernel.one(head.codes, codes, rows, tables, z, s.logits, state * TILE);
                    } else if (state == states - 2) {
                        TableKernel.two(head.codes, codes, rows, tables, z, stride, s.logits, state * TILE);
                    } else {
                        TableKernel.several(head.codes, codes, rows, tables, z, stride, s.logits, state * TILE);
                    }
                }
                at += 2 * LANES * rows;
            }
        }
    }
}
