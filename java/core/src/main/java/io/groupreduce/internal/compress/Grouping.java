package io.groupreduce.internal.compress;

import io.groupreduce.matrix.Spectrum;
import io.groupreduce.spi.Candidate;
import io.groupreduce.spi.CompressionWorkspace;
import java.util.ArrayList;
import java.util.List;

/**
 * A state of the compression in which every group has a basis of its own: which group each row is in, and each group's rank.
 *
 * @param groupOf the group of every row as an unsigned byte
 * @param ranks per group: directions, {@link RankAllocation#DENSE}, or 0
 */
record Grouping(byte[] groupOf, int[] ranks) {
    /** Counts rows and sums raw weights by group, then lets {@code ranks} choose. */
    static Grouping of(byte[] groupOf, int groups, double[] rawWeights, RankRule rule) {
        long[] sizes = new long[groups];
        double[] means = new double[groups];
        for (int i = 0; i < groupOf.length; i++) {
            int g = groupOf[i] & 0xff;
            sizes[g]++;
            means[g] += rawWeights[i];
        }
        for (int g = 0; g < groups; g++) {
            means[g] = sizes[g] == 0 ? 0 : means[g] / sizes[g];
        }
        return new Grouping(groupOf, rule.ranks(sizes, means));
    }

    /** Chooses a rank a group from its rows and their mean raw weight. */
    @FunctionalInterface
    interface RankRule {
        int[] ranks(long[] sizes, double[] meanCounts);
    }

    int groups() {
        return ranks.length;
    }

    int[] sizes() {
        int[] sizes = new int[groups()];
        for (byte g : groupOf) {
            sizes[g & 0xff]++;
        }
        return sizes;
    }

    /** Gram matrices and eigenvectors of the groups that need them; a dense group needs none. */
    List<Spectrum> decompose(CompressionWorkspace workspace) {
        byte[] basisOf = groupOf.clone();
        int[] wanted = ranks.clone();
        for (int g = 0; g < wanted.length; g++) {
            wanted[g] = Math.max(0, wanted[g]);
        }
        for (int i = 0; i < basisOf.length; i++) {
            if (ranks[basisOf[i] & 0xff] == RankAllocation.DENSE) {
                basisOf[i] = (byte) CompressionWorkspace.NO_BASIS;
            }
        }
        workspace.accumulate(basisOf, groups());
        return workspace.decompose(wanted);
    }

    /** The weighted loss at these ranks before any quantization. */
    double loss(List<Spectrum> spectra) {
        double sum = 0;
        for (int g = 0; g < groups(); g++) {
            sum += ranks[g] == RankAllocation.DENSE ? 0 : spectra.get(g).loss(ranks[g]);
        }
        return sum;
    }

    /** The groups as places a row can go to; an empty one is out of reach. */
    List<Candidate> candidates() {
        int[] sizes = sizes();
        List<Candidate> candidates = new ArrayList<>();
        for (int g = 0; g < groups(); g++) {
            if (sizes[g] == 0) {
                candidates.add(new Candidate(g, 0, Double.POSITIVE_INFINITY));
            } else if (ranks[g] == RankAllocation.DENSE) {
                candidates.add(Candidate.dense(0));
            } else {
                candidates.add(new Candidate(g, ranks[g], 0));
            }
        }
        return candidates;
    }
}
