package io.groupreduce.cuda.compress;

import io.groupreduce.internal.rows.RowLists;
import io.groupreduce.matrix.GroupPlan;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * The rows of stored groups in the order in which steps take them: basis after basis, longer rows first, then dense
 * rows, then those that nothing is stored of. Groups of a basis with similar ranks form a run, so that one matrix
 * product serves many rows and multiplies few zeros.
 */
final class RowRuns {
    /** Rows that make a run long enough to leave shorter ones to the next. */
    private static final int ENOUGH_ROWS = 2048;

    /** The kind of a run that nothing is stored of. */
    private static final int NOTHING = 256;

    private final int[] sequence;
    private final RowLists lists;
    private final List<Run> runs = new ArrayList<>();

    /**
     * Rows that are worked on alike.
     *
     * @param basis as {@link GroupPlan#basis}; {@link GroupPlan#ZERO} where nothing is stored
     * @param width numbers of the longest group's rows
     * @param firstKey its groups are those of keys {@code firstKey .. endKey - 1}
     */
    record Run(int basis, int width, int firstKey, int endKey) {
        boolean isDense() {
            return basis == GroupPlan.DENSE;
        }

        boolean isLowRank() {
            return basis < GroupPlan.ZERO;
        }
    }

    /** Rows {@code from .. from + count - 1} of the lists, all of one run. */
    record Block(Run run, int from, int count) {}

    /**
     * Sorts rows.
     *
     * @param unstored whether rows that nothing is stored of are wanted too
     */
    RowRuns(byte[] groupOf, List<GroupPlan> groups, boolean unstored) {
        sequence = new int[groups.size()];
        List<Integer> sorted = new ArrayList<>();
        for (int g = 0; g < sequence.length; g++) {
            sorted.add(g);
        }
        sorted.sort(Comparator.comparingInt((Integer g) -> kind(groups.get(g)))
                .thenComparingInt(g -> -groups.get(g).rank())
                .thenComparingInt(g -> g));
        byte[] keyOfGroup = new byte[256];
        int keys = 0;
        for (int s = 0; s < sequence.length; s++) {
            sequence[s] = sorted.get(s);
            keyOfGroup[sequence[s]] = (byte) s;
            keys += unstored || kind(groups.get(sequence[s])) != NOTHING ? 1 : 0;
        }
        byte[] keyOf = new byte[groupOf.length];
        for (int i = 0; i < keyOf.length; i++) {
            keyOf[i] = keyOfGroup[groupOf[i] & 0xff];
        }
        lists = RowLists.of(keyOf, keys);
        gather(groups, keys);
    }

    private static int kind(GroupPlan plan) {
        return plan.isZero() || plan.rank() == 0 ? NOTHING : plan.basis();
    }

    private void gather(List<GroupPlan> groups, int keys) {
        int end;
        for (int first = 0; first < keys; first = end) {
            GroupPlan longest = groups.get(sequence[first]);
            int kind = kind(longest);
            end = first + 1;
            while (end < keys && kind(groups.get(sequence[end])) == kind) {
                boolean similar = 4 * groups.get(sequence[end]).rank() >= 3 * longest.rank();
                if (!similar && lists.start(end) - lists.start(first) >= ENOUGH_ROWS) {
                    break;
                }
                end++;
            }
            if (lists.start(end) > lists.start(first)) {
                runs.add(
                        kind == NOTHING
                                ? new Run(GroupPlan.ZERO, 0, first, end)
                                : new Run(kind, longest.rank(), first, end));
            }
        }
    }

    RowLists lists() {
        return lists;
    }

    /** The group that a key stands for. */
    int group(int key) {
        return sequence[key];
    }

    /** Cuts all runs into blocks of at most so many rows. */
    List<Block> blocks(int rows) {
        List<Block> blocks = new ArrayList<>();
        for (Run run : runs) {
            int end = lists.start(run.endKey());
            for (int from = lists.start(run.firstKey()); from < end; from += rows) {
                blocks.add(new Block(run, from, Math.min(rows, end - from)));
            }
        }
        return blocks;
    }

    /** Numbers of the longest row of every basis; 0 for a basis without rows. */
    int[] longest(int bases) {
        int[] longest = new int[bases];
        for (Run run : runs) {
            if (run.isLowRank()) {
                longest[run.basis()] = Math.max(longest[run.basis()], run.width());
            }
        }
        return longest;
    }
}
