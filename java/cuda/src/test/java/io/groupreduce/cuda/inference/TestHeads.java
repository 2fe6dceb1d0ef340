package io.groupreduce.cuda.inference;

import io.groupreduce.cuda.TestProfiles;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.ScaleFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/** Compressed matrices to lay out and to ask, their rows in turn of each group. */
final class TestHeads {
    private final int columns;
    private final List<GroupPlan> plans = new ArrayList<>();
    private final List<Integer> sizes = new ArrayList<>();
    private final List<EncodedMatrix> left = new ArrayList<>();
    private final List<EncodedMatrix> right = new ArrayList<>();

    TestHeads(int columns) {
        this.columns = columns;
    }

    /** Shapes without numbers: what lies nowhere cannot be read. */
    static EncodedMatrix shape(Codec codec, long rows, int width, int block, ScaleFormat format) {
        return new EncodedMatrix(
                BitProfile.of(codec, width), rows, block, MemorySegment.NULL, MemorySegment.NULL, format);
    }

    /** Random numbers. */
    static EncodedMatrix random(Arena arena, SplittableRandom random, BitProfile profile, int rows) {
        int width = profile.width();
        EncodedMatrix stored = EncodedMatrix.allocate(arena, profile, rows, width);
        float[] row = new float[width];
        for (int r = 0; r < rows; r++) {
            for (int j = 0; j < width; j++) {
                row[j] = (float) random.nextGaussian();
            }
            stored.encodeRow(r, row, 0);
        }
        return stored;
    }

    /** A head of every kind of group: N = 517, D = 40. */
    static CompressedMatrix small(Arena arena, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        return new TestHeads(40)
                .basis(random(arena, random, BitProfile.of(Codec.BF16, 40), 24))
                .basis(random(arena, random, BitProfile.of(Codec.F32, 40), 33))
                .group(0, random(arena, random, BitProfile.of(Codec.INT8, 24), 300))
                .group(1, random(arena, random, TestProfiles.falling(6, 33), 70))
                .group(0, random(arena, random, BitProfile.of(Codec.BF16, 7), 100))
                .group(GroupPlan.DENSE, random(arena, random, BitProfile.of(Codec.F32, 40), 40))
                .zero(7)
                .build("small");
    }

    /** Hidden states for {@link #small}. */
    static float[] hidden(int states, int columns, long seed) {
        float[] hidden = new float[states * columns];
        SplittableRandom random = new SplittableRandom(seed);
        for (int i = 0; i < hidden.length; i++) {
            hidden[i] = (float) random.nextGaussian() / 4;
        }
        return hidden;
    }

    TestHeads basis(EncodedMatrix stored) {
        right.add(stored);
        return this;
    }

    TestHeads group(int basis, EncodedMatrix stored) {
        plans.add(new GroupPlan(basis, stored.profile()));
        sizes.add((int) stored.rows());
        left.add(stored);
        return this;
    }

    TestHeads zero(int rows) {
        plans.add(GroupPlan.zero());
        sizes.add(rows);
        left.add(null);
        return this;
    }

    CompressedMatrix build(String name) {
        int rows = sizes.stream().mapToInt(Integer::intValue).sum();
        byte[] groupOf = new byte[rows];
        int[] taken = new int[sizes.size()];
        int group = 0;
        for (int row = 0; row < rows; row++) {
            do {
                group = (group + 1) % taken.length;
            } while (taken[group] == sizes.get(group));
            taken[group]++;
            groupOf[row] = (byte) group;
        }
        return new CompressedMatrix(name, columns, groupOf, plans, left, right);
    }
}
