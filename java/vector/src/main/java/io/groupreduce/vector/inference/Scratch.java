package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.TILE;
import static io.groupreduce.vector.kernel.Lanes.NR;

import io.groupreduce.vector.kernel.Lanes;
import java.util.Arrays;

/** Memory of one worker. */
final class Scratch {
    /** Floats of a panel. */
    static final int PANEL = TileKernel.DIRECTIONS * NR;

    final RunningSoftmax softmax = new RunningSoftmax();
    final float[] sums = new float[TILE];
    final float[] part = new float[TILE];
    /** States whose logits of a tile are still to be computed. */
    final int[] waiting = new int[HeadPass.FEW_STATES];

    float[] logits = new float[0];
    Search[] searches = new Search[0];
    /** Multiplications of bounded states that were made, of how many. */
    double made;

    double all;
    private float[] panels;
    private float[] tables = new float[0];
    private PackedHead.Group tablesOf;

    /** The tables of states for a group, which neighbouring tiles have in common. */
    float[] tables(PackedHead.Group group, StateProjection projection, int states) {
        if (tablesOf != group) {
            tablesOf = group;
            int numbers = group.layout().tableNumbers();
            if (tables.length < Lanes.padRows(states) * numbers) {
                tables = new float[Lanes.padRows(states) * numbers];
            }
            int index = projection.index(group.basis());
            for (int state = 0; state < states; state++) {
                int from = state * projection.stride(index);
                group.layout().tables(projection.z[index], from, tables, state * numbers);
            }
        }
        return tables;
    }

    /** TILE / NR panels of {@link #PANEL} floats; only batches need them. */
    float[] panels() {
        if (panels == null) {
            panels = new float[TILE / NR * PANEL];
        }
        return panels;
    }

    /** Makes room for states and what is asked about them, and forgets what was in it. */
    void start(int states, int questions) {
        int needed = Lanes.padRows(states) * TILE;
        if (logits.length < needed) {
            logits = new float[needed];
        }
        if (searches.length < questions) {
            int before = searches.length;
            searches = Arrays.copyOf(searches, questions);
            Arrays.setAll(searches, q -> q < before ? searches[q] : new Search());
        }
        made = 0;
        all = 0;
        tablesOf = null;
    }
}
