package io.groupreduce.cuda.compress;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.CodeValues;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.ScaleFormat;

/** How stored rows lie in memory, as kernels read it: {@code GrRowForm} of {@code stored.h}. */
public final class RowForm {
    /** Bytes of {@code GrRowForm}. */
    static final int BYTES = 56;

    private RowForm() {}

    /** The numbers of the structure for the rows of a matrix. */
    public static int[] of(EncodedMatrix matrix) {
        return of(matrix.profile(), matrix.block(), matrix.scaleFormat());
    }

    /** The numbers of the structure for rows of a plan whose scales are of a format. */
    static int[] of(GroupPlan plan, ScaleFormat format) {
        return of(plan.profile(), Math.max(1, plan.block()), format);
    }

    private static int[] of(BitProfile profile, int block, ScaleFormat format) {
        int[] form = new int[BYTES / Integer.BYTES];
        form[0] = Math.toIntExact(profile.rowBytes());
        form[1] = profile.width();
        form[2] = profile.most();
        form[3] = block;
        if (profile.scaled()) {
            form[4] = Math.ceilDiv(profile.width(), block);
            form[5] = format.bytes();
            for (int bits = 1; bits <= CodeValues.MOST_BITS; bits++) {
                form[5 + bits] = profile.atLeast(bits);
            }
        }
        return form;
    }
}
