package io.groupreduce.vector.kernel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.api.Test;

class LanesTest {
    /** The runs at other widths are no runs at this machine's own. */
    @Test
    void vectorsAreAsWideAsThisRunIsMeantToHaveThem() {
        int found = Lanes.FLOATS.vectorBitSize();
        int meant = Integer.getInteger("groupreduce.vector.bits", found);
        assumeTrue(found >= meant, "this machine has no vectors of " + meant + " bits");
        assertEquals(meant, found);
        assertEquals(found / Float.SIZE, Lanes.LANES);
    }
}
