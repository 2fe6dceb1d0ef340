package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.TILE;
import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.CodeValues;
import java.util.ArrayList;
import java.util.List;
import jdk.incubator.vector.FloatVector;

/**
 * Where the directions of a group lie in its tiles: in runs of one form of {@link Codes} each, since widths never rise along a row; and
 * what hidden states have to be turned into before kernels meet the codes with them.
 *
 * <p>A kernel does not take a byte apart. With v_j the coordinate of the direction of field j times the distance of its values and divided
 * by what the field's lowest bit counts,
 *
 * <pre>sum over j of value_j z_j  =  sum over j of (v_j - v_(j+1)) (fields 0 to j as one number) + constant,</pre>
 *
 * <p>where the constant, the same for all rows, is half a distance of each direction, since no value is 0, less what is left in the byte
 * of the number that fields hold too much. Or, where a vector has 16 lanes and directions are many to a byte, a table has the sum for
 * each content of half a byte: 16 numbers, as many as one instruction can pick from.
 */
final class TileLayout {
    /** Whether a vector is a table for half a byte. */
    static final boolean TABLES = LANES == 16;

    /** By field of half a byte and content of that, the distances from 0 of its value. */
    private static final float[] PAIRS = contents(2);

    private static final float[] SINGLE_BITS = contents(1);

    /** How the numbers of a run are kept. */
    enum Kept {
        F32(1, 4 * TILE, 2, false),
        BF16(1, 2 * TILE, 2, false),
        BYTES(1, TILE, 2, false),
        HALVES(2, TILE, 2, false),
        QUARTERS(4, TILE, 4, TABLES),
        EIGHTHS(8, TILE, 8, TABLES);

        /** Directions that share {@link #bytes}. */
        final int together;

        final int bytes;
        /** Directions that {@link TileKernel} takes at once. */
        final int atOnce;

        /** Directions that it takes in one call. */
        final int most;

        final boolean tables;

        Kept(int together, int bytes, int atOnce, boolean tables) {
            this.together = together;
            this.bytes = bytes;
            this.atOnce = atOnce;
            this.tables = tables;
            most = TileKernel.DIRECTIONS * Math.max(1, together / 2);
        }

        /** Bits of a field of a byte that several directions share. */
        int fieldBits() {
            return Byte.SIZE / together;
        }
    }

    /**
     * Directions that are kept alike.
     *
     * @param end the first direction that does not belong to it
     * @param at the byte of a tile where it begins
     * @param foldedAt where what the kernel takes for it begins
     */
    record Run(Kept kept, int from, int end, int at, int foldedAt) {
        /** The byte of a tile where a direction begins, the first of those that share it. */
        int at(int direction) {
            return at + (direction - from) / kept.together * kept.bytes;
        }

        /** Where what the kernel takes for a direction begins, the first of those that share a byte. */
        int foldedAt(int direction) {
            return foldedAt + (direction - from) * foldedNumbers();
        }

        /** A coordinate a direction, or its share of tables. */
        private int foldedNumbers() {
            return kept.tables ? 2 * LANES / kept.together : 1;
        }

        /** Behind its last direction, and others that fill up what kernels take at once. */
        private int whole() {
            return from + Math.ceilDiv(end - from, kept.atOnce) * kept.atOnce;
        }

        /** The place of a direction among those that share a byte. */
        int field(int direction) {
            return (direction - from) % kept.together;
        }

        /** Whether the field of a direction is below 0 for values below 0, and not larger by half its range. */
        boolean signed(int direction) {
            return kept == Kept.HALVES && field(direction) == 1;
        }
    }

    /** At most four, in the order of directions. */
    final Run[] runs;
    /** k. */
    final int rank;
    /** By direction, of codes: {@code value = step field + origin}. */
    final float[] step;

    final float[] origin;
    /** By direction, what a coordinate is multiplied with. */
    private final float[] multiplier;
    /** By direction, what the next one's product is subtracted with. */
    private final float[] nested;
    /** By direction, what a product adds to the constant. */
    private final float[] constant;

    private final int steps;
    private final int numbers;
    private final int tablesAt;

    TileLayout(BitProfile profile) {
        rank = profile.width();
        steps = Math.ceilDiv(rank, TailBounds.STEP);
        runs = runs(profile);
        Run last = runs[runs.length - 1];
        int padded = last.whole();
        numbers = last.foldedAt(padded);
        int at = numbers;
        for (Run run : runs) {
            at = run.kept.tables ? Math.min(at, run.foldedAt) : at;
        }
        tablesAt = at;
        step = new float[padded];
        origin = new float[padded];
        multiplier = new float[padded];
        nested = new float[padded];
        constant = new float[padded];
        for (Run run : runs) {
            for (int d = run.from; d < run.end; d++) {
                multiplier[d] = 1;
                if (run.kept.together > 1) {
                    field(d, run, profile.bits(d));
                }
            }
        }
    }

    private static float[] contents(int fieldBits) {
        float[] distances = new float[4 / fieldBits * 16];
        for (int i = 0; i < distances.length; i++) {
            int field = i % 16 >> i / 16 * fieldBits & (1 << fieldBits) - 1;
            distances[i] = field + 0.5f - (1 << fieldBits - 1);
        }
        return distances;
    }

    private void field(int d, Run run, int bits) {
        int fieldBits = run.kept.fieldBits();
        int place = run.kept.tables ? 0 : run.field(d) * fieldBits;
        step[d] = CodeValues.step(bits);
        origin[d] = step[d] * (run.signed(d) ? 0.5f : 0.5f - (1 << fieldBits - 1));
        multiplier[d] = step[d] / (1 << place);
        if (!run.kept.tables) {
            nested[d] = run.field(d) + 1 < run.kept.together ? 1 : 0;
            // Kernels take off what fields are too large by, but not where they read a byte as a signed number.
            constant[d] = run.signed(d) ? 0 : 0.5f * (1 << place);
        }
    }

    /** A run of more bits takes up some directions of the next, so that steps end with a byte in every run. */
    private static Run[] runs(BitProfile profile) {
        int rank = profile.width();
        if (!profile.scaled()) {
            return new Run[] {new Run(profile.most() == Float.SIZE ? Kept.F32 : Kept.BF16, 0, rank, 0, 0)};
        }
        Kept[] kept = {Kept.BYTES, Kept.HALVES, Kept.QUARTERS, Kept.EIGHTHS};
        int[] ends = {profile.atLeast(5), profile.atLeast(3), TABLES ? profile.atLeast(2) : rank, rank};
        List<Run> runs = new ArrayList<>();
        Run last = new Run(Kept.BYTES, 0, 0, 0, 0);
        for (int r = 0; r < kept.length; r++) {
            int next = r + 1 < kept.length ? kept[r + 1].together : 1;
            int end = Math.min(rank, Math.ceilDiv(Math.max(ends[r], last.end), next) * next);
            if (last.end < end) {
                last = new Run(kept[r], last.end, end, last.at(last.end), last.foldedAt(last.end));
                runs.add(last);
            }
        }
        return runs.toArray(Run[]::new);
    }

    /** Bytes of a tile. */
    int tileBytes() {
        Run last = runs[runs.length - 1];
        return last.at(last.whole());
    }

    /** Whether kernels multiply bytes that several directions share. */
    boolean shared() {
        for (Run run : runs) {
            if (run.kept.together > 1 && !run.kept.tables) {
                return true;
            }
        }
        return false;
    }

    /** The first direction that kernels look up in tables, or {@link #rank}. */
    int tablesFrom() {
        for (Run run : runs) {
            if (run.kept.tables) {
                return run.from;
            }
        }
        return rank;
    }

    /** The first direction that there are kernels of several states for, or {@link #rank}; others follow it. */
    int togetherFrom() {
        for (Run run : runs) {
            if (TABLES && run.kept.together > 1) {
                return run.from;
            }
        }
        return rank;
    }

    /** The numbers of a state's tables. */
    int tableNumbers() {
        return numbers - tablesAt;
    }

    /**
     * Makes the tables of a state.
     *
     * @param z its coordinates, that of direction 0 at {@code from}
     * @param to where {@link #tableNumbers} numbers go
     */
    void tables(float[] z, int from, float[] target, int to) {
        int at = to;
        for (Run run : runs) {
            float[] distances = run.kept.fieldBits() == 1 ? SINGLE_BITS : PAIRS;
            int fields = distances.length / LANES;
            for (int d = run.from; d < run.whole() && run.kept.tables; d += fields, at += LANES) {
                FloatVector sum = FloatVector.zero(FLOATS);
                for (int j = 0; j < fields && d + j < rank; j++) {
                    FloatVector product = FloatVector.broadcast(FLOATS, z[from + d + j] * multiplier[d + j]);
                    sum = FloatVector.fromArray(FLOATS, distances, j * LANES).fma(product, sum);
                }
                sum.intoArray(target, at);
            }
        }
    }

    /** What some hidden states are turned into. */
    final class Folded {
        /** What {@link TileKernel} takes, {@link #stride} numbers of each state. */
        final float[] numbers;

        final int stride = TileLayout.this.numbers;
        private final float[] products = new float[step.length + 1];
        /** By state the constants of each {@link TailBounds#STEP} directions. */
        private final float[] constants;
        /** By state those from each step on. */
        private final float[] rest;

        Folded(int states) {
            // Kernels of four states take three as well, and look at one more.
            numbers = new float[(states > 2 ? states + 1 : states) * stride];
            constants = new float[states * steps];
            rest = new float[states * (steps + 1)];
        }

        /** Takes the coordinates of a state, that of direction 0 at {@code from}. */
        void fold(int state, float[] z, int from) {
            for (int d = 0; d < rank; d++) {
                products[d] = z[from + d] * multiplier[d];
            }
            tables(z, from, numbers, state * stride + tablesAt);
            for (Run run : runs) {
                if (!run.kept.tables) {
                    int to = state * stride + run.foldedAt - run.from;
                    for (int d = run.from; d < run.whole(); d++) {
                        numbers[to + d] = products[d] - nested[d] * products[d + 1];
                    }
                }
            }
            for (int i = steps - 1; i >= 0; i--) {
                float sum = 0;
                for (int d = i * TailBounds.STEP; d < Math.min(rank, (i + 1) * TailBounds.STEP); d++) {
                    sum += constant[d] * products[d];
                }
                constants[state * steps + i] = sum;
                int at = state * (steps + 1) + i;
                rest[at] = rest[at + 1] + sum;
            }
        }

        /** What sums of directions {@code from .. to - 1} begin with, both ends of steps, or the last one of the row. */
        float start(int state, int from, int to) {
            float sum = 0;
            for (int i = from / TailBounds.STEP; i * TailBounds.STEP < to; i++) {
                sum += constants[state * steps + i];
            }
            return sum;
        }

        /** What sums that began with the constant of all directions have of those from {@code m} on, the end of a step. */
        float rest(int state, int m) {
            return rest[state * (steps + 1) + m / TailBounds.STEP];
        }
    }
}
