package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.TILE;
import static io.groupreduce.vector.inference.HeadPass.Scratch.PANEL;
import static io.groupreduce.vector.kernel.Lanes.LANES;
import static io.groupreduce.vector.kernel.Lanes.NR;

import io.groupreduce.vector.inference.HeadPass.Scratch;
import io.groupreduce.vector.inference.TileLayout.Run;
import io.groupreduce.vector.kernel.Gemm;
import java.util.Arrays;

/** Several states over all tiles: a tile is decoded once and meets all of them. */
final class BatchSweep extends HeadPass.Sweep {
    /** Tiles of a group from which on it is worth making tables. */
    private static final int FEWEST_TILES = 4;

    private final int states;

    BatchSweep(HeadPass pass, int states) {
        super(pass, 0);
        this.states = states;
    }

    @Override
    void sweep(int tile, Scratch s) {
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
            lookUp(tile, group, s);
        }
        for (int state = 0; state < states; state++) {
            head.finish(tile, s.logits, state * TILE);
            double noise = question.drawn() ? s.noise.largestNoise(state, head.tokens, tile * TILE) : 0;
            consume(state, state * TILE, tile, noise, s);
        }
        if (question.summed()) {
            s.softmax.add(0, states, s.logits, question.inverse());
        }
    }

    /** Whether making tables for all states pays: a few tiles must share them, and one scale must serve a row. */
    private static boolean tabled(PackedHead.Group group) {
        return group.tiles() >= FEWEST_TILES && group.segmentScales() == null;
    }

    private void lookUp(int tile, PackedHead.Group group, Scratch s) {
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
                    } else {
                        TableKernel.several(head.codes, codes, rows, tables, z, stride, s.logits, state * TILE);
                    }
                }
                at += 2 * LANES * rows;
            }
        }
    }
}
