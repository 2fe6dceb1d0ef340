package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.TILE;
import static io.groupreduce.vector.kernel.Lanes.NR;

import io.groupreduce.vector.kernel.Lanes;

/** Memory of one worker for one query. */
final class PassScratch {
    /** Floats of a panel, with one direction more for INT4. */
    static final int PANEL = (TileKernel.DIRECTIONS + 1) * NR;

    final RunningSoftmax softmax = new RunningSoftmax();
    final Ranking ranking = new Ranking();
    final NoiseSearch noise = new NoiseSearch();
    final float[] part = new float[TILE];
    /** An odd last INT4 direction: its coordinate, and 0 for the one that would be paired with it. */
    final float[] last = new float[2];

    float[] logits = new float[0];
    double made;
    double all;
    private float[] panels;

    /** TILE / NR panels of {@link #PANEL} floats; only batches need them. */
    float[] panels() {
        if (panels == null) {
            panels = new float[TILE / NR * PANEL];
        }
        return panels;
    }

    void reserve(int states) {
        int needed = Lanes.padRows(states) * TILE;
        if (logits.length < needed) {
            logits = new float[needed];
        }
    }

    void start(HeadQuestion question, int states) {
        if (question.k > 0) {
            ranking.start(states, question.k);
        }
        if (question.noise) {
            noise.start(states, question.seed, question.firstState, question.temperature);
        }
        made = 0;
        all = 0;
    }
}
