package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.TILE;
import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;

import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.vector.kernel.HyperbolicTangent;
import io.groupreduce.vector.kernel.PackedMatrix;
import io.groupreduce.vector.kernel.Workers;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import jdk.incubator.vector.FloatVector;

/**
 * A compressed matrix laid out for the kernels: its rows in tiles of one group, groups by falling rank, since the rows that matter
 * most come first then and a bound on the others has something to be compared with. Places are counted through all tiles; a place
 * that no row fills has a bias of {@link #NO_TOKEN}.
 *
 * <p>Bytes: a row's numbers as {@link Codes} keeps them and its scale, bias and token, 12 bytes; and the right factors as binary32.
 */
final class PackedHead implements AutoCloseable {
    /**
     * The logit where there is no token: below all others, and finite, so that the difference of two is 0.
     */
    static final float NO_TOKEN = -Float.MAX_VALUE / 2;

    /** The lanes of a tile, as the lowest bits of a word. */
    static final long ALL_LANES = -1L >>> Long.SIZE - TILE;

    final Group[] groups;
    /** The group, in the order of {@link #groups}, of each tile. */
    final int[] groupOfTile;
    /** Per place, the token; {@link Integer#MAX_VALUE} where there is none. */
    final int[] tokens;
    /** Per tile, the lanes that have a token. */
    final long[] lanes;
    /** Per place, the scale of the row; 1 where it has none or one for each segment. */
    final float[] scales;
    /** Per place. */
    final float[] bias;

    final MemorySegment codes;
    /** By basis the right factor, with the directions in panels. */
    final PackedMatrix[] right;
    /** D. */
    final int columns;
    /** c of {@code c tanh(y / c)}, what logits become after the bias; 0 where they are as they are. */
    final float cap;

    private final CompressedMatrix matrix;
    private final int[] firstPlace = new int[256];
    private final Arena arena = Arena.ofShared();

    /**
     * The rows of one group as a loaded head keeps them.
     *
     * @param layout where directions are; {@code null} where rows are zero
     * @param basis which projection of the hidden state the rows meet; {@link GroupPlan#DENSE} the hidden state itself
     * @param segment directions that share a scale; the rank where the scale is the row's
     * @param rows how many
     * @param firstTile the number of its first tile among all of the head
     * @param at where its codes begin
     * @param segmentScales per tile and segment TILE scales; {@code null} where a row has one
     */
    record Group(TileLayout layout, int basis, int segment, int rows, int firstTile, long at, float[] segmentScales) {
        /** k, directions of a row; 0 where rows are zero. */
        int rank() {
            return layout == null ? 0 : layout.rank;
        }

        int tiles() {
            return Math.ceilDiv(rows, TILE);
        }

        /** How many rows a tile has. */
        int rows(int tile) {
            return Math.min(TILE, rows - (tile - firstTile) * TILE);
        }

        int segments() {
            return segmentScales == null ? 1 : Math.ceilDiv(rank(), segment);
        }

        long tileBytes() {
            return layout == null ? 0 : layout.tileBytes();
        }

        /** Where the codes of a tile begin. */
        long codesAt(int tile) {
            return at + (tile - firstTile) * tileBytes();
        }

        /** Where the TILE scales of a segment of a tile begin in {@link #segmentScales}. */
        int scalesAt(int tile, int segmentNumber) {
            return ((tile - firstTile) * segments() + segmentNumber) * TILE;
        }
    }

    PackedHead(Workers workers, CompressedMatrix matrix, float[] biasOfToken, double cap) {
        this.matrix = matrix;
        this.cap = (float) cap;
        columns = matrix.columns();
        right = new PackedMatrix[matrix.bases()];
        for (int b = 0; b < right.length; b++) {
            int rank = (int) matrix.right(b).rows();
            right[b] = PackedMatrix.ofTransposed(matrix.decodedRight(b), columns, rank, columns);
        }
        List<GroupPlan> plans = matrix.groups();
        int[] sizes = matrix.groupSizes();
        List<Integer> order = new ArrayList<>();
        for (int g = 0; g < plans.size(); g++) {
            if (sizes[g] > 0) {
                order.add(g);
            }
        }
        order.sort(Comparator.comparingInt((Integer g) -> -plans.get(g).rank()));
        groups = new Group[order.size()];
        int tiles = 0;
        long bytes = 0;
        for (int i = 0; i < groups.length; i++) {
            groups[i] = group(plans.get(order.get(i)), matrix.left(order.get(i)), sizes[order.get(i)], tiles, bytes);
            tiles += groups[i].tiles();
            bytes += groups[i].tiles() * groups[i].tileBytes();
        }
        groupOfTile = new int[tiles];
        tokens = new int[tiles * TILE];
        lanes = new long[tiles];
        scales = new float[tiles * TILE];
        bias = new float[tiles * TILE];
        Arrays.fill(tokens, Integer.MAX_VALUE);
        Arrays.fill(bias, NO_TOKEN);
        placeTokens(matrix, order, biasOfToken);
        try {
            codes = CodeMemory.allocate(arena, bytes + Codes.OVERREAD);
            pack(workers, matrix, order);
        } catch (Throwable e) {
            arena.close();
            throw e;
        }
    }

    private void pack(Workers workers, CompressedMatrix matrix, List<Integer> order) {
        for (int i = 0; i < groups.length; i++) {
            Arrays.fill(groupOfTile, groups[i].firstTile(), groups[i].firstTile() + groups[i].tiles(), i);
            for (int t = groups[i].firstTile(); t < groups[i].firstTile() + groups[i].tiles(); t++) {
                lanes[t] = ALL_LANES >>> TILE - groups[i].rows(t);
            }
            EncodedMatrix left = matrix.left(order.get(i));
            if (groups[i].rank() > 0) {
                TilePacker packer = new TilePacker(groups[i], left, this, workers.count());
                workers.run(groups[i].tiles(), packer::pack);
            }
        }
    }

    private static Group group(GroupPlan plan, EncodedMatrix left, int rows, int firstTile, long at) {
        int rank = left == null ? 0 : left.width();
        TileLayout layout = rank == 0 ? null : new TileLayout(left.profile());
        int tiles = Math.ceilDiv(rows, TILE);
        boolean segmented = left != null && left.scalesPerRow() > 1;
        if (segmented && left.block() % TailBounds.STEP != 0) {
            throw new IllegalArgumentException("A scale for each " + left.block() + " numbers");
        }
        int segment = segmented ? left.block() : rank;
        float[] segmentScales =
                segmented ? new float[Math.toIntExact((long) tiles * Math.ceilDiv(rank, segment) * TILE)] : null;
        return new Group(layout, plan.basis(), segment, rows, firstTile, at, segmentScales);
    }

    private void placeTokens(CompressedMatrix matrix, List<Integer> order, float[] biasOfToken) {
        for (int i = 0; i < groups.length; i++) {
            firstPlace[order.get(i)] = groups[i].firstTile() * TILE;
        }
        int[] next = firstPlace.clone();
        byte[] groupOf = matrix.groupOf();
        for (int token = 0; token < groupOf.length; token++) {
            int place = next[groupOf[token] & 0xff]++;
            tokens[place] = token;
            scales[place] = 1;
            bias[place] = biasOfToken == null ? 0 : biasOfToken[token];
        }
    }

    /** N. */
    int tokenCount() {
        return matrix.rows();
    }

    /**
     * Finds the lanes that some tokens have.
     *
     * @param open bit t % 64 of word t / 64 for token t
     * @param target receives the lanes of every tile
     */
    void lanesOf(long[] open, long[] target) {
        int words = Math.ceilDiv(tokenCount(), Long.SIZE);
        long last = -1L >>> words * Long.SIZE - tokenCount();
        int count = 0;
        for (int w = 0; w < words; w++) {
            count += Long.bitCount(w == words - 1 ? open[w] & last : open[w]);
        }
        // From the fewer of both, the open ones or the others.
        boolean most = count > tokenCount() / 2;
        if (most) {
            System.arraycopy(lanes, 0, target, 0, lanes.length);
        } else {
            Arrays.fill(target, 0, lanes.length, 0);
        }
        for (int w = 0; w < words; w++) {
            long word = most ? ~open[w] : open[w];
            for (long left = w == words - 1 ? word & last : word; left != 0; left &= left - 1) {
                int token = w * Long.SIZE + Long.numberOfTrailingZeros(left);
                int place = firstPlace[matrix.group(token)] + matrix.slot(token);
                target[place / TILE] ^= 1L << place % TILE;
            }
        }
    }

    int tiles() {
        return groupOfTile.length;
    }

    Group group(int tile) {
        return groups[groupOfTile[tile]];
    }

    /** Turns the sums over directions of a tile, from {@code at} on, into logits. */
    void finish(int tile, float[] sums, int at) {
        int place = tile * TILE;
        for (int i = 0; i < TILE; i += LANES) {
            FloatVector scale = FloatVector.fromArray(FLOATS, scales, place + i);
            FloatVector offset = FloatVector.fromArray(FLOATS, bias, place + i);
            FloatVector.fromArray(FLOATS, sums, at + i).fma(scale, offset).intoArray(sums, at + i);
        }
        if (cap > 0) {
            HyperbolicTangent.cap(sums, at, TILE, cap);
        }
    }

    /** Bytes that a query of one hidden state reads of the rows: codes, scales and biases. */
    long bytes() {
        long total = 8L * bias.length;
        for (Group group : groups) {
            total += group.tiles() * group.tileBytes();
            total += group.segmentScales() == null ? 0 : 4L * group.segmentScales().length;
        }
        return total;
    }

    /** Frees the codes. */
    @Override
    public void close() {
        arena.close();
    }
}
