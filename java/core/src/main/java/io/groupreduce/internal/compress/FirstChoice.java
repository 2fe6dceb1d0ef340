package io.groupreduce.internal.compress;

import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Spectrum;
import io.groupreduce.spi.CompressionWorkspace;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/**
 * What rows choose first: how long the bases are, in which codes right factors are stored, and each row's plan. Where right factors take
 * little of the size, bases begin with all directions and are cut to what pays. Where they are dear, what a row may spend depends on their
 * length, and so does which plans are worth having: then rows choose among plans made for one length after the other.
 *
 * @param selection each row's plan
 * @param plans the plans it numbers, with the codec of right factors
 * @param expected loss
 */
record FirstChoice(PriceSearch.Selection selection, StoragePlans plans, double expected) {
    /** Right factors of all directions that take a larger share of the size than this are dear. */
    private static final double DEAR = 0.25;

    /** Lengths are tried so far apart, one direction at least. */
    private static final double NEXT_LENGTH = 1.25;

    /**
     * Choices for each length and codec of right factors, in order of expected loss: what the rows' plans lose and what the rounding of
     * right factors does.
     */
    static List<FirstChoice> of(
            CompressionWorkspace workspace, CompressionTask task, Alternation.Settings settings, StartingBases start) {
        int rows = task.matrix().rows();
        int bases = start.directions().size();
        List<FirstChoice> choices = new ArrayList<>();
        double[][] noise = noise(task, start);
        for (int[] caps : lengths(settings, rows, start.spectra())) {
            StoragePlans made = settings.plans(start.spectra(), caps);
            workspace.rate(start.directions(), made.plans());
            for (Codec right : settings.rights()) {
                StoragePlans plans = made.withRight(right);
                PriceSearch search = new PriceSearch(workspace, plans, rows, bases, settings.rightShare());
                if (!choices.isEmpty() && !search.fits(settings.budget(), caps)) {
                    continue;
                }
                PriceSearch.Selection selection = search.fill(settings.budget(), caps, true);
                double kept = workspace.energy() - selection.distortion();
                double expected =
                        selection.distortion() + RightFactor.rounding(right) * kept * mean(noise, selection.caps());
                choices.add(new FirstChoice(selection, plans, expected));
            }
        }
        choices.sort(Comparator.comparingDouble(FirstChoice::expected));
        return choices;
    }

    private static List<int[]> lengths(Alternation.Settings settings, int rows, List<Spectrum> spectra) {
        int longest = spectra.get(0).values().length;
        List<int[]> lengths = new ArrayList<>();
        double room = (settings.budget() - settings.model().fixed(rows, List.of(GroupPlan.zero())))
                / settings.rightShare()
                / spectra.size();
        if (settings.model().right(longest) <= DEAR * room) {
            lengths.add(all(spectra.size(), longest));
            return lengths;
        }
        lengths.add(all(spectra.size(), 0));
        for (int length = 1; length <= longest && settings.model().right(length) < room; ) {
            lengths.add(all(spectra.size(), length));
            int next = Math.max(length + 1, (int) (length * NEXT_LENGTH));
            length = length < longest ? Math.min(longest, next) : next;
        }
        return lengths;
    }

    /** By basis and length, what white noise of a right factor's energy loses, relative to the energy it stands for. */
    private static double[][] noise(CompressionTask task, StartingBases start) {
        int columns = task.matrix().columns();
        double[][] noise = new double[start.directions().size()][];
        double trace = task.metric() == null ? 0 : task.metric().trace();
        for (int b = 0; b < noise.length; b++) {
            double[] energies = start.spectra().get(b).values();
            noise[b] = new double[energies.length + 1];
            if (task.metric() == null) {
                Arrays.fill(noise[b], 1);
                continue;
            }
            float[] right = start.directions().get(b).right();
            double lost = 0;
            double kept = 0;
            for (int j = 0; j < energies.length; j++) {
                double squares = 0;
                for (int i = 0; i < columns; i++) {
                    squares += (double) right[j * columns + i] * right[j * columns + i];
                }
                lost += energies[j] * squares * trace / columns;
                kept += energies[j];
                noise[b][j + 1] = kept > 0 ? lost / kept : 1;
            }
        }
        return noise;
    }

    private static double mean(double[][] noise, int[] caps) {
        double sum = 0;
        for (int b = 0; b < caps.length; b++) {
            sum += noise[b][Math.min(caps[b], noise[b].length - 1)];
        }
        return sum / caps.length;
    }

    private static int[] all(int bases, int length) {
        int[] lengths = new int[bases];
        Arrays.fill(lengths, length);
        return lengths;
    }
}
