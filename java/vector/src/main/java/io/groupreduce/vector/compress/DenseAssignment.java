package io.groupreduce.vector.compress;

import io.groupreduce.spi.Candidate;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.Projection;
import io.groupreduce.vector.kernel.Workers;
import java.util.Arrays;
import java.util.List;

/**
 * The best candidate of every row when one of them is dense and no other is cheaper: that one, since no residual is below 0.
 *
 * <pre>gain(i) = w_i max(0, e_i - ||(A_i P_b)[0 : k_c]||^2) + price_c - price_dense,   c the candidate row i is in</pre>
 *
 * <p>So every row is multiplied with the projection of its own candidate alone, and rows that are dense already are not even
 * read; the paper's first rounds, whose frequent groups are dense, cost a fraction of an {@link Assignment}. Bytes: 4 D a row
 * that is low-rank now, 9 N of small results. Never materialised: coordinates beyond a tile.
 */
final class DenseAssignment {
    private DenseAssignment() {}

    static void run(
            Workers workers,
            CompressionProblem problem,
            float[] energies,
            Basis[] bases,
            List<Candidate> candidates,
            int winner,
            byte[] current,
            byte[] best,
            float[] gain) {
        float[] weights = problem.weights();
        double price = candidates.get(winner).price();
        Arrays.fill(best, (byte) winner);
        for (int i = 0; i < gain.length; i++) {
            Candidate here = candidates.get(current[i] & 0xff);
            double residual = here.isDense() ? 0 : energies[i];
            gain[i] = (float) (weights[i] * residual + here.price() - price);
        }
        float[][] lanes = new float[workers.count()][Lanes.LANES];
        Projection[] projections = Arrays.stream(bases).map(Basis::projection).toArray(Projection[]::new);
        ProjectedTiles.Group[] wanted =
                candidates.stream().map(DenseAssignment::wanted).toArray(ProjectedTiles.Group[]::new);
        new ProjectedTiles(workers, problem.matrix(), projections, wanted)
                .run(current, (group, order, first, slot, count, values, stride, worker) -> {
                    Candidate here = candidates.get(group);
                    for (int i = 0; i < count; i++) {
                        int row = order[first + i];
                        float kept = Lanes.squares(values, i * stride, here.rank(), lanes[worker]);
                        double residual = Math.max(0f, energies[row] - kept);
                        gain[row] = (float) (weights[row] * residual + here.price() - price);
                    }
                });
    }

    private static ProjectedTiles.Group wanted(Candidate candidate) {
        return candidate.isDense() || candidate.rank() == 0
                ? ProjectedTiles.Group.NONE
                : new ProjectedTiles.Group(ProjectedTiles.Kind.COORDINATES, candidate.basis(), candidate.rank());
    }
}
