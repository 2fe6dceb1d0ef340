package io.groupreduce.internal.compress;

import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.Spectrum;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.Directions;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;

/** The last step: bases and coordinates become stored factors. Empty groups are dropped, groups of rank 0 store nothing. */
final class Factorization {
    /** Directions weaker than this, relative to the first, are scaled as if they were this strong. */
    private static final double LEAST_ENERGY = 1e-12;

    private Factorization() {}

    /**
     * Stores a grouping whose bases are the workspace's present ones.
     *
     * @param spectra of the groups, as {@link Grouping#decompose} gave them
     * @param arena owns the factors' memory
     */
    static CompressedMatrix run(
            CompressionWorkspace workspace,
            Matrix matrix,
            Grouping grouping,
            List<Spectrum> spectra,
            SizeModel model,
            Arena arena) {
        int[] sizes = grouping.sizes();
        int columns = matrix.columns();
        byte[] renumber = new byte[sizes.length];
        List<GroupPlan> plans = new ArrayList<>();
        List<EncodedMatrix> left = new ArrayList<>();
        List<EncodedMatrix> right = new ArrayList<>();
        // encodeLeft speaks of the workspace's bases, the file numbers only those in use.
        List<GroupPlan> workspacePlans = new ArrayList<>();
        List<Directions> bases = new ArrayList<>();
        for (int g = 0; g < sizes.length; g++) {
            bases.add(new Directions(0, new float[0], new float[0], null));
            if (sizes[g] == 0) {
                continue;
            }
            renumber[g] = (byte) plans.size();
            int rank = grouping.ranks()[g];
            if (rank == RankAllocation.DENSE) {
                GroupPlan plan = new GroupPlan(GroupPlan.DENSE, columns, model.left());
                plans.add(plan);
                workspacePlans.add(plan);
                int block = SizeModel.denseBlock(model.left(), columns);
                left.add(EncodedMatrix.allocate(arena, model.left(), sizes[g], columns, block));
            } else if (rank == 0) {
                GroupPlan plan = new GroupPlan(GroupPlan.ZERO, 0, model.left());
                plans.add(plan);
                workspacePlans.add(plan);
                left.add(null);
            } else {
                float[] scale = balance(spectra.get(g), rank, model.left());
                Directions directions = workspace.directions(g, rank).withScales(scale);
                bases.set(g, directions);
                plans.add(new GroupPlan(right.size(), rank, model.left()));
                workspacePlans.add(new GroupPlan(g, rank, model.left()));
                left.add(EncodedMatrix.allocate(arena, model.left(), sizes[g], rank, rank));
                right.add(encodeRight(directions, columns, model.right(), arena));
            }
        }
        byte[] groupOf = grouping.groupOf().clone();
        for (int i = 0; i < groupOf.length; i++) {
            groupOf[i] = renumber[groupOf[i] & 0xff];
        }
        workspace.encodeLeft(groupOf, workspacePlans, bases, left);
        return new CompressedMatrix(matrix.name(), columns, groupOf, plans, left, right);
    }

    private static EncodedMatrix encodeRight(Directions directions, int columns, Codec codec, Arena arena) {
        EncodedMatrix stored = EncodedMatrix.allocate(arena, codec, directions.rank(), columns, columns);
        float[] row = new float[columns];
        for (int k = 0; k < directions.rank(); k++) {
            float scale = directions.scales() == null ? 1 : directions.scales()[k];
            for (int j = 0; j < columns; j++) {
                row[j] = directions.right()[k * columns + j] / scale;
            }
            stored.encodeRow(k, row, 0);
        }
        return stored;
    }

    /**
     * Scales that give left columns the square root of their energy and right rows the other root. A row's integers share one
     * scale, so columns that differ by orders of magnitude would leave the weak ones no levels. Floating-point codecs need
     * none.
     */
    private static float[] balance(Spectrum spectrum, int rank, Codec codec) {
        if (!codec.scaled() || spectrum.values()[0] <= 0) {
            return null;
        }
        float[] scale = new float[rank];
        for (int k = 0; k < rank; k++) {
            double energy = Math.max(LEAST_ENERGY, spectrum.values()[k] / spectrum.values()[0]);
            scale[k] = (float) Math.pow(energy, -0.25);
        }
        return scale;
    }
}
