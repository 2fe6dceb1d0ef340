package io.groupreduce.cuda;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/** Ways to store the numbers of a row. */
public final class TestProfiles {
    private TestProfiles() {}

    /** Bits that fall from {@code most} to 1. */
    public static BitProfile falling(int most, int width) {
        return BitProfile.of(
                IntStream.range(0, width).map(j -> most - most * j / width).toArray());
    }

    /** Every codec, and bits that fall from 8, 5 and 2. */
    public static List<BitProfile> all(int width) {
        List<BitProfile> all = new ArrayList<>();
        for (Codec codec : Codec.values()) {
            all.add(BitProfile.of(codec, width));
        }
        all.add(falling(8, width));
        all.add(falling(5, width));
        all.add(falling(2, width));
        return all;
    }
}
