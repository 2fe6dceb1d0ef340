package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.TILE;
import static io.groupreduce.vector.kernel.Lanes.FLOATS;
import static io.groupreduce.vector.kernel.Lanes.LANES;

import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
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
 * <p>Bytes: those of the stored left factors, INT3 as four bits, and for a row its scale, bias and token, 12 bytes.
 */
final class PackedHead implements AutoCloseable {
    /** The projection that leaves a hidden state as it is, for dense rows. */
    static final int HIDDEN = -1;

    /**
     * The logit where there is no token: below all others, and finite, so that the difference of two is 0.
     */
    static final float NO_TOKEN = -Float.MAX_VALUE / 2;

    final PackedGroup[] groups;
    /** The group, in the order of {@link #groups}, of each tile. */
    final int[] groupOfTile;
    /** Per place, the token; {@link Integer#MAX_VALUE} where there is none. */
    final int[] tokens;
    /** Per place, the scale of the row; 1 where it has none or one for each segment. */
    final float[] scales;
    /** Per place. */
    final float[] bias;

    final MemorySegment codes;
    private final int tokenCount;
    private final Arena arena = Arena.ofShared();

    PackedHead(Workers workers, CompressedMatrix matrix, float[] biasOfToken) {
        tokenCount = matrix.rows();
        List<GroupPlan> plans = matrix.groups();
        int[] sizes = matrix.groupSizes();
        List<Integer> order = new ArrayList<>();
        for (int g = 0; g < plans.size(); g++) {
            if (sizes[g] > 0) {
                order.add(g);
            }
        }
        order.sort(Comparator.comparingInt((Integer g) -> -plans.get(g).rank()));
        groups = new PackedGroup[order.size()];
        int tiles = 0;
        long bytes = 0;
        for (int i = 0; i < groups.length; i++) {
            groups[i] = group(plans.get(order.get(i)), matrix.left(order.get(i)), sizes[order.get(i)], tiles, bytes);
            tiles += groups[i].tiles();
            bytes += groups[i].tiles() * groups[i].tileBytes();
        }
        groupOfTile = new int[tiles];
        tokens = new int[tiles * TILE];
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
            EncodedMatrix left = matrix.left(order.get(i));
            if (groups[i].rank() > 0) {
                TilePacker packer = new TilePacker(groups[i], left, this);
                workers.run(groups[i].tiles(), (tile, worker) -> packer.pack(tile));
            }
        }
    }

    private static PackedGroup group(GroupPlan plan, EncodedMatrix left, int rows, int firstTile, long at) {
        int rank = left == null ? 0 : left.width();
        Codec kept = Codes.kept(plan.codec());
        boolean segmented = left != null && left.scalesPerRow() > 1;
        boolean straddled = segmented && left.block() % Codes.together(kept) != 0;
        if (straddled || left != null && left.codec() == Codec.INT4 && Codes.holdsLowest(left.data())) {
            // Two numbers of a byte would have two scales, or there is a number that a pair has no room for.
            kept = Codec.F32;
            segmented = false;
        }
        int tiles = Math.ceilDiv(rows, TILE);
        int segment = segmented ? left.block() : rank;
        float[] segmentScales =
                segmented ? new float[Math.toIntExact((long) tiles * Math.ceilDiv(rank, segment) * TILE)] : null;
        return new PackedGroup(
                kept, plan.isDense() ? HIDDEN : plan.basis(), rank, segment, rows, firstTile, at, segmentScales);
    }

    private void placeTokens(CompressedMatrix matrix, List<Integer> order, float[] biasOfToken) {
        int[] next = new int[256];
        for (int i = 0; i < groups.length; i++) {
            next[order.get(i)] = groups[i].firstTile() * TILE;
        }
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
        return tokenCount;
    }

    int tiles() {
        return groupOfTile.length;
    }

    PackedGroup group(int tile) {
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
    }

    /** Bytes that a query of one hidden state reads of the rows: codes, scales and biases. */
    long bytes() {
        long total = 8L * bias.length;
        for (PackedGroup group : groups) {
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
