package io.groupreduce.matrix;

import java.util.Arrays;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * How many bits each number of a stored row has, and so how a row lies in memory: a stream of bits, number after number, the lowest
 * bit of a byte first, filled up with zeros to whole bytes.
 *
 * <p>Widths 1 to 8 are codes of {@link CodeValues} and never rise along the row: many bits where there is energy, few further out
 * (reverse water-filling, Cover and Thomas 13.3.3). A row of binary32 numbers has 32 bits throughout, one of bfloat16 numbers 16.
 */
public final class BitProfile {
    /** The row without numbers. */
    public static final BitProfile EMPTY = new BitProfile(new byte[0]);

    /** Widths from here on are numbers, not codes. */
    private static final int FLOATS = 16;

    private static final Pattern TEXT = Pattern.compile("([0-9]{1,2})x([0-9]{1,5}(?:[.][0-9]{1,5}){0,7})");

    private final byte[] bits;
    private final long rowBits;
    /** Entry b: how many numbers have at least b bits. */
    private final int[] reach = new int[CodeValues.MOST_BITS + 2];

    private BitProfile(byte[] bits) {
        this.bits = bits;
        long sum = 0;
        for (byte b : bits) {
            sum += b;
            for (int least = 0; least <= Math.min(b, CodeValues.MOST_BITS + 1); least++) {
                reach[least]++;
            }
        }
        rowBits = sum;
    }

    /**
     * A profile of given widths.
     *
     * @param bits each 1 to 8, never rising; or all of them 16 or 32
     * @throws IllegalArgumentException if they are not
     */
    public static BitProfile of(int... bits) {
        byte[] widths = new byte[bits.length];
        for (int j = 0; j < bits.length; j++) {
            boolean falls = bits[j] >= 1 && bits[j] <= 8 && (j == 0 || bits[j] <= bits[j - 1] && bits[0] <= 8);
            boolean floats = (bits[j] == FLOATS || bits[j] == Float.SIZE) && bits[j] == bits[0];
            if (!falls && !floats) {
                throw new IllegalArgumentException("No profile: " + Arrays.toString(bits));
            }
            widths[j] = (byte) bits[j];
        }
        return bits.length == 0 ? EMPTY : new BitProfile(widths);
    }

    /** All numbers as wide as those of a codec. */
    public static BitProfile of(Codec codec, int width) {
        return constant(codec.bits(), width);
    }

    /** {@code width} numbers of the same width in bits. */
    public static BitProfile constant(int bits, int width) {
        int[] all = new int[width];
        Arrays.fill(all, bits);
        return of(all);
    }

    /** Numbers of a row: the rank of a row of coordinates. */
    public int width() {
        return bits.length;
    }

    /** Bits of number {@code j}. */
    public int bits(int j) {
        return bits[j];
    }

    /** Bits of the widest number, 0 where there is none. */
    public int most() {
        return bits.length == 0 ? 0 : bits[0];
    }

    /** Bits of every number where all have the same, else 0. */
    public int uniform() {
        return bits.length > 0 && bits[0] == bits[bits.length - 1] ? bits[0] : 0;
    }

    /** How many numbers, from the first on, have at least {@code least} bits, 0 to 9: those of b bits end where {@code atLeast(b)} does. */
    public int atLeast(int least) {
        return reach[least];
    }

    /** Whether numbers are codes that a stored scale multiplies. */
    public boolean scaled() {
        return most() > 0 && most() < FLOATS;
    }

    /** Bits of a row. */
    public long rowBits() {
        return rowBits;
    }

    /** Bytes of a row, scales not counted. */
    public long rowBytes() {
        return (rowBits + 7) / 8;
    }

    /** The first {@code width} numbers alone. */
    public BitProfile prefix(int width) {
        return width == bits.length ? this : new BitProfile(Arrays.copyOf(bits, width));
    }

    /** Length width: bits of every number. */
    public int[] toArray() {
        int[] all = new int[bits.length];
        Arrays.setAll(all, j -> bits[j]);
        return all;
    }

    /**
     * The widest numbers' bits, how many have them, and how many have one bit less, two bits less and so on: {@code 6x2.0.10} is 2 numbers of
     * 6 bits and 10 of 4; {@code 32x200} are binary32 numbers. Empty for the row without numbers.
     */
    public String text() {
        if (bits.length == 0) {
            return "";
        }
        int[] counts = new int[bits[0] + 1];
        for (byte b : bits) {
            counts[bits[0] - b]++;
        }
        return bits[0] + "x"
                + IntStream.rangeClosed(0, bits[0] - bits[bits.length - 1])
                        .mapToObj(i -> Integer.toString(counts[i]))
                        .collect(Collectors.joining("."));
    }

    /**
     * Reads what {@link #text} made.
     *
     * @param longest the most numbers there may be
     * @throws IllegalArgumentException if the text is none, or there are more
     */
    public static BitProfile parse(String text, int longest) {
        Matcher matcher = TEXT.matcher(text);
        if (!matcher.matches()) {
            throw new IllegalArgumentException("No profile: " + text);
        }
        int most = Integer.parseInt(matcher.group(1));
        String[] counts = matcher.group(2).split("[.]");
        IntStream.Builder all = IntStream.builder();
        int width = 0;
        for (int i = 0; i < counts.length; i++) {
            int bits = most - i;
            int count = Integer.parseInt(counts[i]);
            width += count;
            if (width > longest) {
                throw new IllegalArgumentException("A row has no more than " + longest + " numbers: " + text);
            }
            IntStream.range(0, count).forEach(j -> all.add(bits));
        }
        BitProfile profile = of(all.build().toArray());
        if (!profile.text().equals(text)) {
            throw new IllegalArgumentException("Not as it is written: " + text);
        }
        return profile;
    }

    /** The name of the codec that all numbers have, as {@link Codec#label}, or their bits: {@code 2 bits}, {@code 6..1 bits}. */
    public String label() {
        for (Codec codec : Codec.values()) {
            if (codec.bits() == uniform()) {
                return codec.label();
            }
        }
        if (bits.length == 0) {
            return "none";
        }
        String widths = uniform() > 0 ? Integer.toString(bits[0]) : bits[0] + ".." + bits[bits.length - 1];
        return widths + (bits[0] == 1 ? " bit" : " bits");
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof BitProfile profile && Arrays.equals(bits, profile.bits);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(bits);
    }

    @Override
    public String toString() {
        return label() + " x " + bits.length;
    }
}
