package io.groupreduce.cli.report;

import io.groupreduce.api.Estimate;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.GroupPlan;
import java.util.Locale;
import java.util.function.DoubleFunction;

/** How numbers are written for people: the same in every locale. */
public final class Figures {
    private static final String[] UNITS = {"kB", "MB", "GB", "TB"};

    /** What stands in the place of an infinity or of no number. */
    public static final String NOT_FINITE = "not finite";

    private Figures() {}

    /** {@code 12,345}. */
    public static String count(long value) {
        return String.format(Locale.ROOT, "%,d", value);
    }

    /** {@code 1.23 MB}, in powers of 1000. */
    public static String bytes(long value) {
        if (value < 1000) {
            return value + " B";
        }
        double scaled = value / 1000.0;
        int unit = 0;
        while (scaled >= 999.5 && unit < UNITS.length - 1) {
            scaled /= 1000;
            unit++;
        }
        String format = scaled < 9.995 ? "%.2f %s" : scaled < 99.95 ? "%.1f %s" : "%.0f %s";
        return String.format(Locale.ROOT, format, scaled, UNITS[unit]);
    }

    /** {@code 6.60×}. */
    public static String ratio(double value) {
        return decimal(value, 2) + (Double.isFinite(value) ? "×" : "");
    }

    /** {@code 12.34 %} for 0.1234. */
    public static String percent(double share) {
        double value = 100 * share;
        boolean small = value != 0 && Math.abs(value) < 0.1;
        return decimal(value, small ? 4 : 2) + (Double.isFinite(value) ? " %" : "");
    }

    /** {@code +12.34 %} or {@code -0.50 %}. */
    public static String signedPercent(double share) {
        return (share >= 0 && Double.isFinite(share) ? "+" : "") + percent(share);
    }

    /** {@code 123.45}; very large numbers in powers of ten. */
    public static String perplexity(double value) {
        return Double.isFinite(value) && value >= 1e6 ? String.format(Locale.ROOT, "%.2e", value) : decimal(value, 2);
    }

    /** {@code 0.0123}; very small numbers in powers of ten. */
    public static String nats(double value) {
        return value != 0 && value < 0.001 ? String.format(Locale.ROOT, "%.2e", value) : decimal(value, 4);
    }

    /** {@code 1.23 (95 %: 1.10 to 1.36)}; the mean alone where its interval is not known. */
    public static String estimate(Estimate value, DoubleFunction<String> figure) {
        String between = between(value, figure);
        return figure.apply(value.mean()) + (between.isEmpty() ? "" : " (95 %: " + between + ")");
    }

    /** {@code 1.10 to 1.36}; empty where it is not known. */
    public static String between(Estimate value, DoubleFunction<String> figure) {
        return value.hasInterval() ? figure.apply(value.low()) + " to " + figure.apply(value.high()) : "";
    }

    /** {@code 3.2 s} or {@code 2 min 5 s}. */
    public static String duration(double seconds) {
        if (seconds < 60) {
            return decimal(seconds, seconds < 10 ? 2 : 1) + " s";
        }
        long whole = Math.round(seconds);
        long hours = whole / 3600;
        long minutes = whole % 3600 / 60;
        return hours > 0 ? hours + " h " + minutes + " min" : minutes + " min " + whole % 60 + " s";
    }

    /** {@code 1} for 1.0, {@code 0.25} for 0.25. */
    public static String plain(double value) {
        return value == Math.rint(value) && Math.abs(value) < 1e15
                ? String.valueOf((long) value)
                : String.valueOf(value);
    }

    /** How the rows of a group are stored. */
    public static String kind(GroupPlan plan) {
        return plan.isDense() ? "dense" : plan.isZero() ? "zero" : "low-rank";
    }

    /** {@code 71.3} for the mean number of coordinates of a row, or of bits of a number. */
    public static String mean(double value) {
        return decimal(value, 1);
    }

    /** The bits of a group's numbers: {@code dense int4}, {@code 6..1 bits}, {@code zero}. */
    public static String bits(GroupPlan plan) {
        return plan.isZero()
                ? "zero"
                : (plan.isDense() ? "dense " : "") + plan.profile().label();
    }

    /** Groups that are alike to a person: in the bits that all numbers have, else in those of the widest. */
    public static String widest(GroupPlan plan) {
        BitProfile profile = plan.profile();
        boolean falls = profile.width() > 0 && profile.uniform() == 0;
        return falls ? (plan.isDense() ? "dense " : "") + "up to " + profile.most() + " bits" : bits(plan);
    }

    /** Bits of a number of a group's rows, on average; scales are not counted. */
    public static double bitsANumber(GroupPlan plan) {
        return plan.isZero() ? 0 : (double) plan.profile().rowBits() / plan.rank();
    }

    private static String decimal(double value, int digits) {
        if (!Double.isFinite(value)) {
            return NOT_FINITE;
        }
        return String.format(Locale.ROOT, "%,." + digits + "f", value);
    }
}
