package io.groupreduce.internal.compress;

import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.CompressionSummary;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Spectrum;
import io.groupreduce.spi.Candidate;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.Directions;
import io.groupreduce.spi.Loss;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;

/**
 * Groups with a basis and a plan each: which group every row is in, and how a group is stored.
 *
 * @param groupOf the group of every row as an unsigned byte
 * @param plans per group; group g has basis g where it is low-rank
 */
record Grouping(byte[] groupOf, List<GroupPlan> plans) {
    /** Directions weaker than this, relative to the first, are scaled as if they were this strong. */
    private static final double LEAST_ENERGY = 1e-12;

    /** Counts rows and takes the mean of raw weights by group, then lets {@code rule} choose. */
    static Grouping of(byte[] groupOf, int groups, double[] raw, Rule rule) {
        long[] sizes = new long[groups];
        double[] means = new double[groups];
        for (int i = 0; i < groupOf.length; i++) {
            int g = groupOf[i] & 0xff;
            sizes[g]++;
            means[g] += raw[i];
        }
        for (int g = 0; g < groups; g++) {
            means[g] = sizes[g] == 0 ? 0 : means[g] / sizes[g];
        }
        return new Grouping(groupOf, rule.plans(sizes, means));
    }

    /** Chooses a plan a group from its rows and their mean raw weight. */
    @FunctionalInterface
    interface Rule {
        List<GroupPlan> plans(long[] sizes, double[] means);
    }

    int groups() {
        return plans.size();
    }

    /** Gram matrices and eigenvectors of the groups that need them; they stay in the workspace as its bases. */
    List<Spectrum> decompose(CompressionWorkspace workspace) {
        byte[] basisOf = groupOf.clone();
        for (int i = 0; i < basisOf.length; i++) {
            if (plans.get(basisOf[i] & 0xff).isDense()) {
                basisOf[i] = (byte) GroupPlan.DENSE;
            }
        }
        workspace.accumulate(basisOf, groups());
        return workspace.decompose(
                plans.stream().mapToInt(p -> p.isDense() ? 0 : p.rank()).toArray());
    }

    /** The weighted loss before any quantization. */
    double loss(List<Spectrum> spectra) {
        double sum = 0;
        for (int g = 0; g < groups(); g++) {
            GroupPlan plan = plans.get(g);
            sum += plan.isDense() ? 0 : spectra.get(g).loss(plan.rank());
        }
        return sum;
    }

    /** The groups as places a row can go to; an empty one is out of reach. */
    List<Candidate> candidates() {
        int[] sizes = new int[groups()];
        for (byte g : groupOf) {
            sizes[g & 0xff]++;
        }
        List<Candidate> candidates = new ArrayList<>();
        for (int g = 0; g < groups(); g++) {
            GroupPlan plan = plans.get(g);
            if (sizes[g] == 0) {
                candidates.add(new Candidate(g, 0, Double.POSITIVE_INFINITY));
            } else {
                candidates.add(plan.isDense() ? Candidate.dense(0) : new Candidate(g, plan.rank(), 0));
            }
        }
        return candidates;
    }

    /** The groups' bases with the scales that they are stored with, as the workspace has them after {@link #decompose}. */
    List<Directions> bases(CompressionWorkspace workspace, List<Spectrum> spectra) {
        List<Directions> bases = new ArrayList<>();
        for (int g = 0; g < groups(); g++) {
            GroupPlan plan = plans.get(g);
            bases.add(
                    plan.isLowRank()
                            ? workspace.directions(g, plan.rank()).withScales(balance(spectra.get(g), plan))
                            : new Directions(0, new float[0], new float[0], null));
        }
        return bases;
    }

    /**
     * Stores the rows as coordinates in bases of their groups' own.
     *
     * @param spectra what {@link #decompose} found for these groups
     * @param bases the {@link #bases} of then
     * @param energy of the whole matrix
     * @param losses of every state before this one, this one included
     */
    CompressionResult store(
            CompressionWorkspace workspace,
            List<Spectrum> spectra,
            List<Directions> bases,
            CompressionTask task,
            SizeModel model,
            double energy,
            List<Double> losses,
            Arena arena) {
        StoredForm form = new StoredForm(groupOf, plans, groups(), model);
        List<double[]> right = bases.stream()
                .map(basis -> RightFactor.of(basis, basis.rank(), model.columns()))
                .toList();
        List<EncodedMatrix> left = form.encodeLeft(workspace, bases, task.backend()::forEach, arena);
        CompressedMatrix compressed = form.join(task.matrix(), left, right, arena);
        Loss loss = task.loss(workspace, compressed);
        return new CompressionResult(
                compressed,
                CompressionSummary.of(
                        task.matrix(),
                        compressed.bytes(),
                        task.options(),
                        task.metric() != null,
                        energy,
                        loss.weighted(),
                        loss.relativeError(),
                        form.inUse(spectra),
                        losses,
                        null));
    }

    /**
     * Scales that give left columns the square root of their energy and right rows the other root. A row's codes share one
     * scale, so columns that differ by orders of magnitude would leave the weak ones no levels. Floating-point codecs need
     * none.
     */
    private static float[] balance(Spectrum spectrum, GroupPlan plan) {
        if (!plan.profile().scaled() || spectrum.values()[0] <= 0) {
            return null;
        }
        float[] scale = new float[plan.rank()];
        for (int k = 0; k < scale.length; k++) {
            double energy = Math.max(LEAST_ENERGY, spectrum.values()[k] / spectrum.values()[0]);
            scale[k] = (float) Math.pow(energy, -0.25);
        }
        return scale;
    }
}
