package io.groupreduce.models.export;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.ScaleFormat;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/** Puts a compressed matrix of seeded numbers together, group by group. */
final class StoredMatrix {
    private final Arena arena;
    private final int columns;
    private final Random random = new Random(7);
    private final List<GroupPlan> plans = new ArrayList<>();
    private final List<EncodedMatrix> left = new ArrayList<>();
    private final List<EncodedMatrix> right = new ArrayList<>();
    private final List<Byte> members = new ArrayList<>();

    StoredMatrix(Arena arena, int columns) {
        this.arena = arena;
        this.columns = columns;
    }

    /** Numbers of rows whose sizes differ, so that scales do. */
    private EncodedMatrix encoded(BitProfile profile, int rows, int block, ScaleFormat format, double size) {
        EncodedMatrix made = EncodedMatrix.allocate(arena, profile, rows, block, format);
        float[] row = new float[profile.width()];
        for (int r = 0; r < rows; r++) {
            double own = size * Math.exp(random.nextGaussian());
            for (int j = 0; j < row.length; j++) {
                row[j] = (float) (own * random.nextGaussian());
            }
            made.encodeRow(r, row, 0);
        }
        return made;
    }

    StoredMatrix basis(String profile, int rank, int block, ScaleFormat format) {
        right.add(encoded(BitProfile.parse(profile, columns), rank, block, format, 1 / Math.sqrt(columns)));
        return this;
    }

    StoredMatrix group(int basis, String profile, ScaleFormat format, int rows) {
        BitProfile bits = BitProfile.parse(profile, columns);
        return add(new GroupPlan(basis, bits), encoded(bits, rows, bits.width(), format, 1), rows);
    }

    StoredMatrix dense(String profile, int block, ScaleFormat format, double size, int rows) {
        BitProfile bits = BitProfile.parse(profile, columns);
        return add(new GroupPlan(GroupPlan.DENSE, bits), encoded(bits, rows, block, format, size), rows);
    }

    StoredMatrix zero(int rows) {
        return add(GroupPlan.zero(), null, rows);
    }

    private StoredMatrix add(GroupPlan plan, EncodedMatrix stored, int rows) {
        for (int i = 0; i < rows; i++) {
            members.add((byte) plans.size());
        }
        plans.add(plan);
        left.add(stored);
        return this;
    }

    CompressedMatrix build(String name) {
        Collections.shuffle(members, random);
        byte[] groups = new byte[members.size()];
        for (int i = 0; i < groups.length; i++) {
            groups[i] = members.get(i);
        }
        return new CompressedMatrix(name, columns, groups, plans, left, right);
    }

    /** What rate-distortion makes: falling bits on one basis, a few dense rows, a few of zeros; 40 columns. */
    static CompressedMatrix usual(Arena arena, String name) {
        return new StoredMatrix(arena, 40)
                .basis("8x40", 40, 32, ScaleFormat.BF16)
                .group(0, "7x1.2.0.5.11.3.18", ScaleFormat.LOG8, 700)
                .zero(3)
                .group(0, "3x4.2.1", ScaleFormat.LOG8, 90)
                .dense("8x40", 40, ScaleFormat.BF16, 1, 8)
                .dense("3x40", 32, ScaleFormat.BF16, 1, 5)
                .group(0, "1x3", ScaleFormat.LOG8, 60)
                .build(name);
    }

    /** The rows as they are decoded. */
    static float[] rows(CompressedMatrix matrix) {
        float[] all = new float[matrix.rows() * matrix.columns()];
        matrix.decodeRows(0, matrix.rows(), all, 0);
        return all;
    }
}
