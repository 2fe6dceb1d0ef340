package io.groupreduce.internal.compress;

import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.spi.Choice;
import io.groupreduce.spi.CompressionWorkspace;
import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;

/**
 * Finds the price of a byte at which rows that each take what is cheapest for them, {@code distortion + price * bytes}, fill
 * a size target: the Lagrange multiplier of the size (Shoham and Gersho 1988). The lengths of the bases are chosen by the same
 * objective, their bytes included.
 */
final class PriceSearch {
    /** The size is met when no more than this share of it is left over. */
    private static final double CLOSE = 5e-4;

    /** Rows of the smallest group: of fewer, what the group costs and the places that a query leaves empty are not worth it. */
    private static final long FEWEST_ROWS = 32;

    /** Of fewer than this many times {@link #FEWEST_ROWS} rows that are not stored as zeros even smaller groups are left. */
    private static final long SMALL = 256;

    /** The most that groups' descriptions may take of the size. */
    private static final double DESCRIBED = 0.05;

    /** Where groups' descriptions take a larger share of the size than this, fewer groups are tried. */
    private static final double MANY_BYTES = 0.01;

    /** How many groups at most, in the order in which that is tried. */
    private static final int[] FEWER = {GroupPlan.MAX_GROUPS, 1, 2, 3, 5, 8};

    /** Lengths of a basis are tried so far apart at least. */
    private static final double NEXT_LENGTH = 1.1;

    /** The plan of rows that are zero. */
    private static final int ZERO = 0;

    /** Prices so near to each other part few rows, which then take what is left one by one. */
    private static final double ALIKE = 1e-5;

    private static final double WIDEN = 16;
    private static final double LEAST_PRICE = 1e-200;
    private static final double MOST_PRICE = 1e200;

    private final CompressionWorkspace workspace;
    private final StoragePlans plans;
    private final int rows;
    private final int bases;
    /** What a byte of a right factor costs: less than 1 for a sample of the rows, which must pay only its share. */
    private final double rightShare;
    /** Plans that rows may choose. */
    private final boolean[] open;
    /** Plans for whose description bytes are set aside: until it is known which ones rows use, that of zeros. */
    private final boolean[] described;
    /** The last price found, where the next search starts. */
    private double price;

    PriceSearch(CompressionWorkspace workspace, StoragePlans plans, int rows, int bases, double rightShare) {
        this.workspace = workspace;
        price = Math.max(LEAST_PRICE, workspace.energy() / rows / plans.model().columns());
        this.plans = plans;
        open = new boolean[plans.plans().size()];
        described = new boolean[open.length];
        Arrays.fill(open, true);
        described[ZERO] = true;
        this.rows = rows;
        this.bases = bases;
        this.rightShare = rightShare;
    }

    /**
     * A choice for every row.
     *
     * @param groupOf the plan of every row as an unsigned byte
     * @param caps per basis, the longest rank in reach
     * @param price loss that one byte must save
     * @param distortion the sum over rows, but for those of the last few bytes
     * @param truncation the part of it in rows that do not keep all directions
     * @param bytes of rows, group numbers and right factors, in the unit of the plans
     */
    record Selection(byte[] groupOf, int[] caps, double price, double distortion, double truncation, double bytes) {}

    /** Whether bases of these lengths leave room for rows. */
    boolean fits(double budget, int[] caps) {
        return plans.fixed(rows, described) + rightBytes(levels(caps)) <= budget;
    }

    /**
     * The choice that fills {@code budget}.
     *
     * @param caps per basis, its longest rank
     * @param shorter whether bases are cut to the lengths that pay
     * @param hopeless no choice of a larger distortion is of use: where all plans together have it, that choice is returned
     * @throws io.groupreduce.error.UnreachableTargetException if even rows of zeros are too large
     */
    Selection fill(double budget, int[] caps, boolean shorter, double hopeless) {
        Selection first = filled(budget, levels(caps));
        if (shorter) {
            first = shortened(budget, first);
        }
        if (first.distortion() > hopeless) {
            return first;
        }
        Selection best = null;
        int taken = 0;
        for (int most : FEWER) {
            if (best != null && most >= taken) {
                break;
            }
            int settledOn = settle(first, budget, most);
            taken = best == null ? settledOn : taken;
            Selection settled = filled(budget, first.caps());
            if (best == null || settled.distortion() < best.distortion()) {
                best = settled;
            }
            if (most == FEWER[0]
                    && plans.fixed(rows, described) - plans.fixed(rows, new boolean[open.length])
                            < MANY_BYTES * budget) {
                break;
            }
        }
        return best;
    }

    /**
     * Leaves open {@code most} plans that a first choice found worth a group, the largest groups first, and rows of zeros, which always fit.
     *
     * @return how many beside zeros
     */
    private int settle(Selection first, double budget, int most) {
        Arrays.fill(described, false);
        described[ZERO] = true;
        int taken = 0;
        long[] chosen = new long[open.length];
        for (byte p : first.groupOf()) {
            chosen[p & 0xff]++;
        }
        // Few rows among many zeros are all that there is to store.
        long fewest = Math.clamp((rows - chosen[ZERO]) / SMALL, 1, FEWEST_ROWS);
        chosen[ZERO] = 0;
        Integer[] order = new Integer[open.length];
        Arrays.setAll(order, p -> p);
        Arrays.sort(order, Comparator.comparingLong((Integer p) -> -chosen[p]));
        double least = plans.fixed(rows, described);
        double right = rightBytes(first.caps());
        for (int p : order) {
            // The few rows that weigh most take these: a group of their own is little beside what they would lose.
            long needed = plans.plans().get(p).isDense() ? 1 : fewest;
            if (taken < most && chosen[p] >= needed && !described[p]) {
                described[p] = true;
                double fixed = plans.fixed(rows, described);
                boolean little = p == order[0] || fixed - least <= DESCRIBED * budget;
                described[p] = little && fixed + right <= budget;
                taken += described[p] ? 1 : 0;
            }
        }
        System.arraycopy(described, 0, open, 0, open.length);
        return taken;
    }

    private Selection shortened(double budget, Selection selection) {
        int[] paying = paying(budget, selection);
        if (Arrays.equals(paying, selection.caps())) {
            return selection;
        }
        Selection other = filled(budget, paying);
        // Where many rows change their choice at one price, the best at that price may be far from the size.
        return other.distortion() < selection.distortion() ? other : selection;
    }

    private int[] levels(int[] most) {
        return IntStream.range(0, bases).map(b -> level(b, most[b])).toArray();
    }

    /** The largest rank of a basis within {@code most}, 0 when there is none. */
    private int level(int basis, int most) {
        return Arrays.stream(plans.levels(basis)).filter(k -> k <= most).max().orElse(0);
    }

    /** The lengths that pay for themselves at the price found, one basis after the other, among those the size has room for. */
    private int[] paying(double budget, Selection selection) {
        int[] caps = selection.caps().clone();
        byte[] scratch = new byte[rows];
        double fixed = plans.fixed(rows, described);
        for (int b = 0; b < bases; b++) {
            int best = caps[b];
            double least = Double.POSITIVE_INFINITY;
            int[] levels = IntStream.concat(IntStream.of(0), Arrays.stream(plans.levels(b)))
                    .toArray();
            int tried = -1;
            for (int level : levels) {
                // A choice of all rows for every length that some profile has would take most of the time.
                if (level > 0 && level < tried * NEXT_LENGTH && level < levels[levels.length - 1]) {
                    continue;
                }
                tried = level;
                caps[b] = level;
                if (fixed + rightBytes(caps) > budget) {
                    continue;
                }
                Totals at = totals(selection.price(), plans.capped(caps, open), scratch);
                double objective = at.distortion + selection.price() * (at.priced + rightBytes(caps));
                if (objective < least) {
                    least = objective;
                    best = level;
                }
            }
            caps[b] = best;
        }
        return caps;
    }

    private Selection filled(double budget, int[] caps) {
        double[] prices = plans.capped(caps, open);
        double least = plans.fixed(rows, described);
        double fixed = least + rightBytes(caps);
        if (fixed > budget) {
            throw plans.model().noRoom((long) budget, (long) Math.ceil(least));
        }
        byte[] groupOf = new byte[rows];
        Totals free = totals(0, prices, groupOf);
        if (free.bytes + fixed <= budget) {
            return new Selection(groupOf, caps, 0, free.distortion, free.truncation, free.bytes + fixed);
        }
        double[] bracket = bracket(budget - fixed, prices, groupOf);
        double low = bracket[0];
        double high = bracket[1];
        Totals cheap = totals(high, prices, groupOf);
        while (high > low * (1 + ALIKE) && budget - cheap.bytes - fixed > CLOSE * budget) {
            double middle = Math.sqrt(low) * Math.sqrt(high);
            Totals at = totals(middle, prices, groupOf);
            if (at.bytes + fixed <= budget) {
                high = middle;
                cheap = at;
            } else {
                low = middle;
            }
        }
        cheap = totals(high, prices, groupOf);
        price = high;
        return topUp(
                budget - fixed,
                new Selection(groupOf, caps, high, cheap.distortion, cheap.truncation, cheap.bytes),
                low,
                prices,
                fixed);
    }

    /** Two prices a factor of {@link #WIDEN} apart: rows of the lower one are too large, of the higher one they fit. */
    private double[] bracket(double room, double[] prices, byte[] scratch) {
        double low = price;
        double high = price;
        if (totals(price, prices, scratch).bytes <= room) {
            do {
                high = low;
                low /= WIDEN;
            } while (low > LEAST_PRICE && totals(low, prices, scratch).bytes <= room);
        } else {
            do {
                low = high;
                high *= WIDEN;
            } while (high < MOST_PRICE && totals(high, prices, scratch).bytes > room);
        }
        return new double[] {low, high};
    }

    /** Rows in order take what they would at the lower price while there is room: rows of equal slope change all at once. */
    private Selection topUp(double room, Selection at, double lowerPrice, double[] prices, double fixed) {
        byte[] groupOf = at.groupOf();
        double used = at.bytes();
        if (room - used > CLOSE * room) {
            byte[] richer = new byte[rows];
            totals(lowerPrice, prices, richer);
            for (int i = 0; i < rows; i++) {
                double more = plans.costs()[richer[i] & 0xff] - plans.costs()[groupOf[i] & 0xff];
                if (more > 0 && used + more <= room) {
                    groupOf[i] = richer[i];
                    used += more;
                }
            }
        }
        return new Selection(groupOf, at.caps(), at.price(), at.distortion(), at.truncation(), used + fixed);
    }

    private Totals totals(double price, double[] prices, byte[] groupOf) {
        Choice choice = workspace.choose(price, prices, groupOf);
        double[] bytes = plans.costs();
        double sum = 0;
        double priced = 0;
        double truncation = 0;
        for (int p = 0; p < bytes.length; p++) {
            sum += choice.rows()[p] * bytes[p];
            priced += choice.rows()[p] == 0 ? 0 : choice.rows()[p] * prices[p];
            truncation += plans.plans().get(p).rank() < plans.model().columns() ? choice.distortions()[p] : 0;
        }
        return new Totals(choice.distortion(), truncation, sum, priced);
    }

    private double rightBytes(int[] caps) {
        double sum = 0;
        for (int cap : caps) {
            sum += cap == 0 ? 0 : plans.model().right(cap);
        }
        return sum * rightShare;
    }

    private record Totals(double distortion, double truncation, double bytes, double priced) {}
}
