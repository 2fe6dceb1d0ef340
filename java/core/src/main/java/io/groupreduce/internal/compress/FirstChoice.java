package io.groupreduce.internal.compress;

import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.spi.CompressionWorkspace;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * What rows choose first: how long the bases are, in which codes right factors are stored, and each row's plan. Where right factors take
 * little of the size, bases begin with all directions and are cut to what pays. Where they are dear, what a row may spend depends on their
 * length, and so does which plans are worth having: then rows choose among plans made for one length after the other.
 *
 * @param selection each row's plan
 * @param plans the plans it numbers, with the codec of right factors
 * @param length directions of each basis that plans were made for
 * @param expected loss
 */
record FirstChoice(PriceSearch.Selection selection, StoragePlans plans, int length, double expected) {
    /** Right factors of all directions that take a larger share of the size than this are dear. */
    private static final double DEAR = 0.25;

    /** Lengths are tried so far apart, one direction at least, */
    private static final double NEXT_LENGTH = 1.6;

    /** and between the best one and its neighbours down to this. */
    private static final double CLOSE_LENGTH = 1.06;

    /** A choice expected to lose so many times as much as another is not worth encoding. */
    static final double HOPELESS = 1.3;

    /**
     * Choices for some lengths and codecs of right factors, in order of expected loss, none of them hopeless: what the rows' plans lose and
     * what the rounding of right factors does.
     */
    static List<FirstChoice> of(
            CompressionWorkspace workspace, CompressionTask task, Alternation.Settings settings, StartingBases start) {
        return new Search(workspace, task, settings, start).choices();
    }

    /**
     * The best choice for a large matrix: length and codec of right factors are searched on {@code rows} of its rows.
     *
     * @param raw weights of all rows
     */
    static FirstChoice sampled(
            CompressionWorkspace workspace,
            CompressionTask task,
            Alternation.Settings settings,
            StartingBases start,
            double[] raw,
            int rows) {
        Search whole = new Search(workspace, task, settings, start);
        if (!whole.dear() || rows >= task.matrix().rows()) {
            return whole.choices().get(0);
        }
        CompressionTask sample = task.sample(rows);
        double[] weights =
                Arrays.stream(task.sampleRows(rows)).mapToDouble(i -> raw[i]).toArray();
        Alternation.Settings share =
                settings.sample((double) rows / task.matrix().rows());
        FirstChoice found;
        try (CompressionWorkspace part = sample.open(weights)) {
            found = new Search(part, sample, share, start).choices().get(0);
        }
        whole.measure(found.length, List.of(found.plans.model().right()));
        return whole.choices.get(0);
    }

    /** Lengths one after the other: the loss first falls along them, and then rises, as what right factors take leaves rows less. */
    private static final class Search {
        private final CompressionWorkspace workspace;
        private final CompressionTask task;
        private final Alternation.Settings settings;
        private final StartingBases start;
        private final double[][] noise;
        /** For rows and right factors. */
        private final double room;

        private final List<FirstChoice> choices = new ArrayList<>();
        /** The least expected loss by length, {@link Double#POSITIVE_INFINITY} of those without room for rows. */
        private final TreeMap<Integer, Double> tried = new TreeMap<>();

        private double least = Double.POSITIVE_INFINITY;

        Search(
                CompressionWorkspace workspace,
                CompressionTask task,
                Alternation.Settings settings,
                StartingBases start) {
            this.workspace = workspace;
            this.task = task;
            this.settings = settings;
            this.start = start;
            noise = noise(task, start);
            room = settings.budget() - settings.model().fixed(task.matrix().rows(), List.of(GroupPlan.zero()));
        }

        List<FirstChoice> choices() {
            int longest = longest();
            if (!dear()) {
                measure(longest);
            } else {
                measure(0);
                double before = Double.POSITIVE_INFINITY;
                int rising = 0;
                for (int length = 1; length <= longest && rising < 2; length = next(length, longest)) {
                    double expected = measure(length);
                    rising = expected >= before && expected > HOPELESS * least ? rising + 1 : 0;
                    before = expected;
                }
                refine();
            }
            choices.removeIf(c -> c.expected > HOPELESS * least);
            choices.sort(Comparator.comparingDouble(FirstChoice::expected));
            return choices;
        }

        private int longest() {
            return start.spectra().get(0).values().length;
        }

        /** Whether right factors of all directions take so much that shorter ones are tried. */
        boolean dear() {
            return rightBytes(longest()) > DEAR * room;
        }

        private static int next(int length, int longest) {
            int next = Math.max(length + 1, (int) (length * NEXT_LENGTH));
            return length < longest ? Math.min(longest, next) : next;
        }

        /** Halves the gaps beside the best length. */
        private void refine() {
            boolean narrower = true;
            while (narrower) {
                int best = Collections.min(tried.entrySet(), Map.Entry.comparingByValue())
                        .getKey();
                Integer below = tried.lowerKey(best);
                Integer above = tried.higherKey(best);
                narrower = halve(below, best);
                narrower |= halve(best, above);
            }
        }

        private boolean halve(Integer from, Integer to) {
            if (from == null || to == null || to - from < 2 || to < from * CLOSE_LENGTH) {
                return false;
            }
            measure((from + to) / 2);
            return true;
        }

        private double rightBytes(int length) {
            return start.spectra().size()
                    * settings.rightShare()
                    * settings.model().right(length);
        }

        private double measure(int length) {
            return measure(length, settings.rights());
        }

        /** Rows choose among plans of that length; the least loss expected of it. */
        private double measure(int length, List<Codec> rights) {
            int[] caps = new int[start.directions().size()];
            Arrays.fill(caps, length);
            if (length > 0 && rightBytes(length) >= room) {
                tried.put(length, Double.POSITIVE_INFINITY);
                return Double.POSITIVE_INFINITY;
            }
            StoragePlans made = settings.plans(start.spectra(), caps);
            workspace.rate(start.directions(), made.plans());
            double best = Double.POSITIVE_INFINITY;
            for (Codec right : rights) {
                StoragePlans plans = made.withRight(right);
                PriceSearch search =
                        new PriceSearch(workspace, plans, task.matrix().rows(), caps.length, settings.rightShare());
                if (!choices.isEmpty() && !search.fits(settings.budget(), caps)) {
                    continue;
                }
                PriceSearch.Selection selection = search.fill(settings.budget(), caps, true, HOPELESS * least);
                double kept = workspace.energy() - selection.distortion();
                double expected =
                        selection.distortion() + RightFactor.rounding(right) * kept * mean(noise, selection.caps());
                choices.add(new FirstChoice(selection, plans, length, expected));
                best = Math.min(best, expected);
                least = Math.min(least, expected);
            }
            tried.put(length, best);
            return best;
        }
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
}
