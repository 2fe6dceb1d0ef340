package io.groupreduce.internal.compress;

import io.groupreduce.internal.linear.Parallel;
import io.groupreduce.internal.packed.PackedMatrix;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.PackedParts;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.Directions;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * What rows chose as the groups of a file: only plans with rows and bases with rank are numbered, in order. The last step of every
 * method.
 */
final class StoredForm {
    /** The group of every row, numbering {@link #groups}. */
    final byte[] groupOf;

    /** The plans in use; bases are numbered as the workspace does. */
    final List<GroupPlan> groups = new ArrayList<>();

    /** Per basis of the workspace, the longest rank in use. */
    final int[] ranks;

    final SizeModel model;
    private final List<Integer> sizes = new ArrayList<>();

    /**
     * Numbers what is in use.
     *
     * @param chosen the plan of every row as an unsigned byte
     */
    StoredForm(byte[] chosen, List<GroupPlan> plans, int bases, SizeModel model) {
        this.model = model;
        ranks = new int[bases];
        int[] rows = new int[plans.size()];
        for (byte p : chosen) {
            rows[p & 0xff]++;
        }
        byte[] renumber = new byte[rows.length];
        for (int p = 0; p < rows.length; p++) {
            if (rows[p] > 0) {
                GroupPlan plan = plans.get(p);
                renumber[p] = (byte) groups.size();
                groups.add(plan);
                sizes.add(rows[p]);
                if (plan.isLowRank()) {
                    ranks[plan.basis()] = Math.max(ranks[plan.basis()], plan.rank());
                }
            }
        }
        groupOf = new byte[chosen.length];
        for (int i = 0; i < chosen.length; i++) {
            groupOf[i] = renumber[chosen[i] & 0xff];
        }
    }

    /**
     * Stores every row's coordinates, or the row.
     *
     * @param threads make the memory, which is zeroed first: one alone takes a tenth of a second for 500 MB
     */
    List<EncodedMatrix> encodeLeft(
            CompressionWorkspace workspace, List<Directions> bases, Parallel threads, Arena arena) {
        EncodedMatrix[] made = new EncodedMatrix[groups.size()];
        threads.forEach(made.length, g -> made[g] = model.allocateRows(arena, groups.get(g), sizes.get(g)));
        List<EncodedMatrix> left = Arrays.asList(made);
        workspace.encodeLeft(groupOf, groups, bases, left);
        return left;
    }

    /** The matrix of packed parts, its codes in memory of {@code arena}. */
    CompressedMatrix unpack(Matrix matrix, PackedParts packed, Arena arena) {
        PackedMatrix unpacked = PackedMatrix.unpack(packed, groupOf.length, model.columns(), groups, ranks[0], arena);
        return join(matrix, unpacked.left(), unpacked.right()).withPacked(packed);
    }

    /**
     * Stores the right factors and puts all parts together.
     *
     * @param right per basis of the workspace, at least its rank x D; not read where the rank is 0
     */
    CompressedMatrix join(Matrix matrix, List<EncodedMatrix> left, List<double[]> right, Arena arena) {
        List<EncodedMatrix> stored = new ArrayList<>();
        for (int b = 0; b < ranks.length; b++) {
            if (ranks[b] > 0) {
                stored.add(model.storeRight(arena, RightFactor.floats(right.get(b)), ranks[b]));
            }
        }
        return join(matrix, left, stored);
    }

    /**
     * Puts all parts together.
     *
     * @param right of the bases in use
     */
    CompressedMatrix join(Matrix matrix, List<EncodedMatrix> left, List<EncodedMatrix> right) {
        int[] number = new int[ranks.length];
        for (int b = 1; b < ranks.length; b++) {
            number[b] = number[b - 1] + (ranks[b - 1] > 0 ? 1 : 0);
        }
        List<GroupPlan> plans = groups.stream()
                .map(p -> p.isLowRank() ? new GroupPlan(number[p.basis()], p.profile()) : p)
                .toList();
        return new CompressedMatrix(matrix.tensor(), model.columns(), groupOf, plans, left, right);
    }

    /** Of a list with an entry a basis, the entries of the bases in use. */
    <T> List<T> inUse(List<T> perBasis) {
        return IntStream.range(0, ranks.length)
                .filter(b -> ranks[b] > 0)
                .mapToObj(perBasis::get)
                .toList();
    }
}
