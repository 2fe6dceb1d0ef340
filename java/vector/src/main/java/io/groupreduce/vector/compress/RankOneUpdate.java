package io.groupreduce.vector.compress;

import io.groupreduce.vector.kernel.Doubles;
import io.groupreduce.vector.kernel.Gemm;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.PackedMatrix;
import io.groupreduce.vector.kernel.Workers;
import java.util.Arrays;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * The eigenpairs of {@code Q (D + rho z z^T) Q^T} from those of {@code Q D Q^T}, in place (Bunch, Nielsen and Sorensen, 1978; Gu and
 * Eisenstat, 1995).
 *
 * <p>Where z hardly has a share of a vector, or two values are equal but for rounding, nothing or a rotation is left to do. The values
 * of the rest are the roots of {@code 1 + rho sum_i z_i^2 / (d_i - x)}, one behind every d_i. A root is kept as its distance to the
 * nearer d, so that differences are exact however close they are; the vectors are those of the z that belongs to the roots found, which
 * makes them orthogonal. Never materialised: the differences, and more than a block of the new vectors' coordinates.
 */
final class RankOneUpdate {
    private static final VectorSpecies<Double> DOUBLES = DoubleVector.SPECIES_PREFERRED;

    /** Vectors that are made at a time. */
    private static final int BLOCK = 20 * Lanes.MR;

    private static final double EPSILON = Math.ulp(1.0) / 2;

    /** Steps of the search for a root, each of which halves the interval or does better. */
    private static final int MOST_STEPS = 400;

    private final Workers workers;
    private final double[] values;
    private final float[][] vectors;
    private final double[] first;
    private final double[] last;
    private final double rho;
    private final double[] z;

    /** Places that take part, in order of their values, and their d and z. */
    private int[] place;

    private double[] d;
    private double[] share;
    /** Root j is {@code base[j] + offset[j]}. */
    private double[] base;

    private double[] offset;

    /**
     * An update of D and Q, whose rows and numbers are overwritten.
     *
     * @param pairs values ascending
     * @param rho not negative
     * @param z of length 1
     */
    RankOneUpdate(Workers workers, TridiagonalEigen pairs, double rho, double[] z) {
        this.workers = workers;
        this.values = pairs.values();
        this.vectors = pairs.vectors();
        this.first = pairs.first();
        this.last = pairs.last();
        this.rho = rho;
        this.z = z;
    }

    /** The values come out in no order. */
    void run() {
        deflate();
        int count = place.length;
        if (count == 0) {
            return;
        }
        base = new double[count];
        offset = new double[count];
        workers.run(count, (j, worker) -> findRoot(j));
        double[] fitted = new double[count];
        workers.run(count, (i, worker) -> fitted[i] = fitted(i));
        rotate(fitted);
    }

    private void deflate() {
        int n = values.length;
        double largest = 0;
        for (int i = 0; i < n; i++) {
            largest = Math.max(largest, Math.max(Math.abs(values[i]), Math.abs(z[i])));
        }
        double tolerance = 8 * EPSILON * largest;
        int[] kept = new int[n];
        int count = 0;
        int before = -1;
        for (int i = 0; i < n; i++) {
            if (rho * Math.abs(z[i]) <= tolerance) {
                continue;
            }
            if (before >= 0 && alike(before, i, tolerance)) {
                turn(before, i);
                count--;
            }
            before = i;
            kept[count++] = i;
        }
        place = Arrays.copyOf(kept, count);
        d = new double[count];
        share = new double[count];
        for (int k = 0; k < count; k++) {
            d[k] = values[place[k]];
            share[k] = z[place[k]];
        }
    }

    /** Whether a rotation that takes z from the first of two places would disturb D by rounding only. */
    private boolean alike(int p, int q, double tolerance) {
        double length = Math.hypot(z[p], z[q]);
        return Math.abs((values[q] - values[p]) * (z[q] / length) * (z[p] / length)) <= tolerance;
    }

    /** Turns two vectors so that z is all in the second. */
    private void turn(int p, int q) {
        double length = Math.hypot(z[p], z[q]);
        double c = z[q] / length;
        double s = -z[p] / length;
        z[q] = length;
        z[p] = 0;
        double vp = values[p];
        double vq = values[q];
        values[p] = vp * c * c + vq * s * s;
        values[q] = vp * s * s + vq * c * c;
        for (double[] edge : new double[][] {first, last}) {
            double e = edge[p];
            edge[p] = c * e + s * edge[q];
            edge[q] = c * edge[q] - s * e;
        }
        float[] a = vectors[p];
        float[] b = vectors[q];
        for (int i = 0; i < a.length; i++) {
            double x = a[i];
            a[i] = (float) (c * x + s * b[i]);
            b[i] = (float) (c * b[i] - s * x);
        }
    }

    /** The root behind d_j, between it and the next one. */
    private void findRoot(int j) {
        int count = d.length;
        double gap = j + 1 < count ? d[j + 1] - d[j] : rho * squares();
        base[j] = d[j];
        double high = gap;
        boolean mirrored = false;
        if (j + 1 < count) {
            high = 0.5 * gap;
            if (secular(d[j], high) < 0) {
                base[j] = d[j + 1];
                mirrored = true;
            }
        }
        double sign = mirrored ? -1 : 1;
        offset[j] = sign * distance(base[j], sign, high);
    }

    private double squares() {
        double sum = 0;
        for (double s : share) {
            sum += s * s;
        }
        return sum;
    }

    /**
     * The distance of a root from its base, of which an upper bound is known. Times the distance the function has no pole there, and the
     * interval is narrowed by secants, or halved, in the logarithm while it spans more than a factor of four.
     */
    private double distance(double from, double sign, double bound) {
        double low = 0;
        double high = bound;
        double atLow = Double.NaN;
        double atHigh = Double.NaN;
        for (int step = 0; step < MOST_STEPS && high - low > 2 * EPSILON * high; step++) {
            double middle;
            if (low == 0) {
                middle = high * 0x1p-16;
            } else if (high > 4 * low) {
                middle = Math.sqrt(low) * Math.sqrt(high);
            } else {
                double secant = low + (high - low) * (atLow / (atLow - atHigh));
                boolean inside = step % 3 != 0 && secant > low && secant < high;
                middle = inside ? secant : 0.5 * (low + high);
            }
            if (middle <= low || middle >= high || middle < Double.MIN_NORMAL) {
                break;
            }
            double value = middle * sign * secular(from, sign * middle);
            if (value < 0) {
                low = middle;
                atLow = value;
            } else {
                high = middle;
                atHigh = value;
            }
        }
        return low == 0 ? high : 0.5 * (low + high);
    }

    /** {@code 1 + rho sum_i z_i^2 / (d_i - x)} at {@code x = from + by}. */
    private double secular(double from, double by) {
        DoubleVector sum = DoubleVector.zero(DOUBLES);
        int whole = DOUBLES.loopBound(d.length);
        int i = 0;
        for (; i < whole; i += DOUBLES.length()) {
            DoubleVector s = DoubleVector.fromArray(DOUBLES, share, i);
            sum = sum.add(
                    s.mul(s).div(DoubleVector.fromArray(DOUBLES, d, i).sub(from).sub(by)));
        }
        double total = Doubles.sum(sum);
        for (; i < d.length; i++) {
            total += share[i] * share[i] / (d[i] - from - by);
        }
        return 1 + rho * total;
    }

    /** The z_i whose roots are those found: {@code rho z_i^2 = prod_j (x_j - d_i) / prod_(j != i) (d_j - d_i)}. */
    private double fitted(int i) {
        DoubleVector product = DoubleVector.broadcast(DOUBLES, 1);
        int whole = DOUBLES.loopBound(d.length);
        int own = i / DOUBLES.length() * DOUBLES.length();
        int j = 0;
        for (; j < whole; j += DOUBLES.length()) {
            if (j == own) {
                continue;
            }
            DoubleVector root =
                    DoubleVector.fromArray(DOUBLES, base, j).sub(d[i]).add(DoubleVector.fromArray(DOUBLES, offset, j));
            product = product.mul(root.div(DoubleVector.fromArray(DOUBLES, d, j).sub(d[i])));
        }
        double total = base[i] - d[i] + offset[i];
        for (int lane = 0; lane < DOUBLES.length(); lane++) {
            total *= product.lane(lane);
        }
        for (int k = own; k < Math.min(d.length, own + DOUBLES.length()); k++) {
            total *= factor(k, i);
        }
        for (int k = whole; own < whole && k < d.length; k++) {
            total *= factor(k, i);
        }
        return Math.copySign(Math.sqrt(Math.abs(total)), share[i]);
    }

    private double factor(int j, int i) {
        return j == i ? 1 : (base[j] - d[i] + offset[j]) / (d[j] - d[i]);
    }

    /** Makes the new vectors of the old ones, which they replace. */
    private void rotate(double[] fitted) {
        int count = d.length;
        int n = values.length;
        int stride = Lanes.padColumns(n);
        PackedMatrix old = new PackedMatrix(count, n);
        double[] firsts = new double[count];
        double[] lasts = new double[count];
        for (int k = 0; k < count; k++) {
            float[] row = vectors[place[k]];
            for (int p = 0; p < old.panels(); p++) {
                System.arraycopy(row, p * Lanes.NR, old.panel(p), k * Lanes.NR, Lanes.NR);
            }
            firsts[k] = first[place[k]];
            lasts[k] = last[place[k]];
        }
        workers.run(Math.ceilDiv(count, BLOCK), (block, worker) -> {
            int from = block * BLOCK;
            int rows = Math.min(BLOCK, count - from);
            float[] turn = new float[BLOCK * count];
            double[] vector = new double[count];
            for (int r = 0; r < rows; r++) {
                coordinates(from + r, fitted, vector);
                double top = 0;
                double bottom = 0;
                for (int i = 0; i < count; i++) {
                    turn[r * count + i] = (float) vector[i];
                    top += vector[i] * firsts[i];
                    bottom += vector[i] * lasts[i];
                }
                int to = place[from + r];
                values[to] = base[from + r] + offset[from + r];
                first[to] = top;
                last[to] = bottom;
            }
            float[] made = new float[BLOCK * stride];
            Gemm.multiply(turn, count, rows, count, old, old.panels(), made, stride);
            for (int r = 0; r < rows; r++) {
                System.arraycopy(made, r * stride, vectors[place[from + r]], 0, stride);
            }
        });
    }

    /** The unit vector {@code z_i / (d_i - x_j)}. */
    private void coordinates(int j, double[] fitted, double[] vector) {
        double squares = 0;
        for (int i = 0; i < vector.length; i++) {
            vector[i] = fitted[i] / (d[i] - base[j] - offset[j]);
            squares += vector[i] * vector[i];
        }
        double scale = 1 / Math.sqrt(squares);
        for (int i = 0; i < vector.length; i++) {
            vector[i] *= scale;
        }
    }
}
