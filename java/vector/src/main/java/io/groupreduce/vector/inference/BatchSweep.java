package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.TILE;
import static io.groupreduce.vector.inference.HeadPass.Scratch.PANEL;
import static io.groupreduce.vector.kernel.Lanes.NR;

import io.groupreduce.vector.inference.HeadPass.Scratch;
import io.groupreduce.vector.kernel.Gemm;
import java.util.Arrays;

/** Several states over all tiles: a tile is decoded once and meets all of them. */
final class BatchSweep extends HeadPass.Sweep {
    private final int states;

    BatchSweep(HeadPass pass, int states) {
        super(pass, 0);
        this.states = states;
    }

    @Override
    void sweep(int tile, Scratch s) {
        PackedHead.Group group = head.group(tile);
        int rank = group.rank();
        if (rank == 0) {
            Arrays.fill(s.logits, 0, states * TILE, 0f);
        } else {
            int index = projection.index(group.basis());
            float[] panels = s.panels();
            float[] z = projection.z[index];
            int stride = projection.stride(index);
            for (int m = 0; m < rank; m += TileKernel.DIRECTIONS) {
                int directions = Math.min(TileKernel.DIRECTIONS, rank - m);
                TileDecoder.decode(head, tile, m, directions, panels, PANEL);
                for (int p = 0; p < TILE / NR; p++) {
                    Gemm.panel(z, m, stride, states, directions, panels, p * PANEL, s.logits, p * NR, TILE, m > 0);
                }
            }
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
}
