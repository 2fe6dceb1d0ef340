package io.groupreduce.internal.compress;

import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.Directions;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;

/** The plans in use as the groups of a file. */
final class StoredLayout {
    final byte[] groupOf;
    final List<GroupPlan> plans = new ArrayList<>();
    /** Per basis, the longest rank in use. */
    final int[] ranks;

    private final int columns;
    private final List<Integer> sizes = new ArrayList<>();

    StoredLayout(byte[] chosen, StoragePlans all, int bases) {
        columns = all.columns();
        ranks = new int[bases];
        int[] rows = new int[all.plans().size()];
        for (byte p : chosen) {
            rows[p & 0xff]++;
        }
        byte[] renumber = new byte[rows.length];
        for (int p = 0; p < rows.length; p++) {
            if (rows[p] > 0) {
                GroupPlan plan = all.plans().get(p);
                renumber[p] = (byte) plans.size();
                plans.add(plan);
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

    List<EncodedMatrix> encode(CompressionWorkspace workspace, List<Directions> bases, Arena arena) {
        List<EncodedMatrix> left = new ArrayList<>();
        for (int g = 0; g < plans.size(); g++) {
            GroupPlan plan = plans.get(g);
            int block = StoragePlans.block(plan, columns);
            left.add(
                    plan.isZero()
                            ? null
                            : EncodedMatrix.allocate(
                                    arena, plan.codec(), sizes.get(g), plan.rank(), block, StoragePlans.scales(plan)));
        }
        workspace.encodeLeft(groupOf, plans, bases, left);
        return left;
    }

    /** Numbers only the bases in use, in order. */
    CompressedMatrix join(Matrix matrix, List<EncodedMatrix> left, List<EncodedMatrix> right) {
        int[] number = new int[ranks.length];
        int next = 0;
        for (int b = 0; b < ranks.length; b++) {
            number[b] = next;
            next += ranks[b] > 0 ? 1 : 0;
        }
        List<GroupPlan> stored = plans.stream()
                .map(p -> p.isLowRank() ? new GroupPlan(number[p.basis()], p.rank(), p.codec()) : p)
                .toList();
        return new CompressedMatrix(matrix.name(), columns, groupOf, stored, left, right);
    }
}
