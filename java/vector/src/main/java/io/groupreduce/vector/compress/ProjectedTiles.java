package io.groupreduce.vector.compress;

import io.groupreduce.matrix.Matrix;
import io.groupreduce.vector.kernel.Gemm;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.PackedMatrix;
import io.groupreduce.vector.kernel.Projection;
import io.groupreduce.vector.kernel.RowGather;
import io.groupreduce.vector.kernel.Workers;

/**
 * The coordinates of every row in the basis of its own group, a tile of one group at a time.
 *
 * <pre>C[i, :] = A_i P_b[:, 0 : k_p],   A_i: D numbers, P_b: D x k_b, p the group of row i</pre>
 *
 * <p>A task gathers a tile of a group's rows and multiplies it with the first k_p columns of its basis's projection. Bytes:
 * 4 D read for each row of a group that is asked for. Never materialised: coordinates beyond a tile.
 */
final class ProjectedTiles {
    private static final int TILE_FLOATS = 1 << 18;

    /** What to compute for a group. */
    enum Kind {
        /** Nothing: its rows are not read. */
        NONE,
        /** The rows as they are. */
        ROWS,
        /** Their coordinates. */
        COORDINATES
    }

    /**
     * A group and what is wanted of it; {@code basis} and {@code rank} count only for {@link Kind#COORDINATES}.
     *
     * @param rank at most what the basis has
     */
    record Group(Kind kind, int basis, int rank) {
        static final Group NONE = new Group(Kind.NONE, 0, 0);
        static final Group ROWS = new Group(Kind.ROWS, 0, 0);
    }

    /** Takes one tile; called by several threads, each with its own worker number. */
    @FunctionalInterface
    interface Use {
        /**
         * Takes the values of {@code count} rows of a group.
         *
         * @param order row numbers, the tile's from {@code first} on
         * @param slot the place of the first row in its group
         * @param values the rows or their coordinates, {@code stride} apart; may be overwritten
         */
        void take(int group, int[] order, int first, int slot, int count, float[] values, int stride, int worker);
    }

    private final Workers workers;
    private final Matrix matrix;
    private final Group[] groups;
    private final PackedMatrix[] packed;
    private final int width;

    /** Packs the projections that the groups use. */
    ProjectedTiles(Workers workers, Matrix matrix, Projection[] projections, Group[] groups) {
        this.workers = workers;
        this.matrix = matrix;
        this.groups = groups;
        int[] ranks = new int[projections.length];
        int longest = 0;
        for (Group group : groups) {
            if (group.kind() == Kind.COORDINATES) {
                ranks[group.basis()] = Math.max(ranks[group.basis()], group.rank());
                longest = Math.max(longest, group.rank());
            }
        }
        packed = new PackedMatrix[projections.length];
        for (int b = 0; b < packed.length; b++) {
            if (ranks[b] > 0) {
                packed[b] = projections[b].packed(matrix.columns(), ranks[b]);
            }
        }
        width = Lanes.padColumns(longest);
    }

    /** Visits every tile whose group asks for something. */
    void run(byte[] groupOf, Use use) {
        int columns = matrix.columns();
        int height = Lanes.tileRows(TILE_FLOATS, Math.max(width, columns));
        GroupTiles tiles = new GroupTiles(groupOf, groups.length, height);
        float[][] rowScratch = new float[workers.count()][height * columns];
        float[][] productScratch = new float[workers.count()][height * width];
        workers.run(tiles.count(), (tile, worker) -> {
            int number = tiles.group(tile);
            Group group = groups[number];
            if (group.kind() == Kind.NONE) {
                return;
            }
            int first = tiles.first(tile);
            int slot = tiles.slot(tile);
            int count = tiles.rows(tile);
            float[] rows = rowScratch[worker];
            RowGather.read(matrix, tiles.order(), first, count, rows);
            if (group.kind() == Kind.ROWS) {
                use.take(number, tiles.order(), first, slot, count, rows, columns, worker);
                return;
            }
            float[] products = productScratch[worker];
            int panels = Math.ceilDiv(group.rank(), Lanes.NR);
            Gemm.multiply(rows, columns, count, columns, packed[group.basis()], panels, products, width);
            use.take(number, tiles.order(), first, slot, count, products, width, worker);
        });
    }
}
