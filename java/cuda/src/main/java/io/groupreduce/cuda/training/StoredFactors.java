package io.groupreduce.cuda.training;

import io.groupreduce.cuda.compress.RowForm;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.Kernel;
import io.groupreduce.cuda.driver.OutOfDeviceMemoryException;
import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.cuda.driver.Parameters;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.ScaleFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The left and right factors of a compressed matrix on the card, as they are stored. Those that are trained come with
 * their numbers in full precision and what Adam remembers of them: 12 bytes a number, and 4 a row. Structures are those
 * of {@code training.h}; matrices are numbered: the groups, then the bases.
 */
final class StoredFactors {
    /** Bytes of {@code GrFactor}. */
    private static final int STRUCTURE_BYTES = 112;

    private static final int ROWS_PARAMETER_BYTES = 56;
    private static final int ALIGNMENT = 16;
    private static final int THREADS = 128;
    private static final int ROWS_OF_BLOCK = 4;

    private final Device device;
    private final CompressedMatrix matrix;
    private final List<Part> parts;
    private final DeviceMemory stored;
    private final DeviceMemory table;
    private final DeviceMemory groupOf;
    private final DeviceMemory slotOf;
    private final DeviceMemory log8;
    private final Kernel decode;
    private final Kernel begin;
    private final Kernel train;
    private final Parameters parameters = new Parameters(ROWS_PARAMETER_BYTES + 64);

    /**
     * Where a factor lies, in bytes from the start of its memory.
     *
     * @param start what it is at the start; {@code null} for a group that stores nothing
     * @param training where its numbers in full precision begin; -1 when it is not trained
     */
    private record Part(EncodedMatrix start, long codes, long scales, long training) {
        boolean trained() {
            return training >= 0;
        }

        long numbers() {
            return start.rows() * start.width();
        }
    }

    /** Some rows: those of the tokens at places, or, when {@code order} is 0, those of a matrix. */
    record Rows(long order, int matrix, int first, int count) {
        /** The rows of the tokens at places {@code first .. first + count - 1} of {@code order}, a device address. */
        static Rows atPlaces(long order, int first, int count) {
            return new Rows(order, 0, first, count);
        }
    }

    /**
     * Copies the factors to the card.
     *
     * @param trained whether low-rank left factors and the right factors are trained
     * @throws OutOfDeviceMemoryException if they do not fit
     */
    StoredFactors(Owned owned, CompressedMatrix matrix, boolean trained) {
        device = owned.device();
        this.matrix = matrix;
        decode = device.kernel("gr_training_decode");
        begin = device.kernel("gr_training_begin");
        train = device.kernel("gr_training_move");
        Layout layout = new Layout(matrix, trained);
        parts = layout.parts;
        stored = owned.allocate(layout.storedBytes, "the stored factors");
        DeviceMemory training =
                owned.zeros(layout.trainingBytes, "the factors in full precision and what Adam remembers of them");
        table = owned.copy(table(training), "the table of the factors");
        groupOf = owned.copy(MemorySegment.ofArray(matrix.groupOf()), "the group of every row");
        slotOf = owned.copy(MemorySegment.ofArray(slots()), "the slot of every row");
        log8 = owned.copy(MemorySegment.ofArray(ScaleFormat.log8Scales()), "the scales of one byte");
        for (int p = 0; p < parts.size(); p++) {
            load(p);
        }
    }

    /** Finds a place for every factor. */
    private static final class Layout {
        final List<Part> parts = new ArrayList<>();
        long storedBytes;
        long trainingBytes;

        Layout(CompressedMatrix matrix, boolean trained) {
            for (int g = 0; g < matrix.groups().size(); g++) {
                GroupPlan plan = matrix.groups().get(g);
                add(matrix.left(g), trained && plan.isLowRank());
            }
            for (int b = 0; b < matrix.bases(); b++) {
                add(matrix.right(b), trained);
            }
        }

        private void add(EncodedMatrix start, boolean trained) {
            if (start == null || start.rows() == 0 || start.width() == 0) {
                parts.add(new Part(null, 0, 0, -1));
                return;
            }
            long codes = storedBytes;
            long scales = roundUp(codes + start.data().byteSize());
            storedBytes = roundUp(
                    scales + (start.scales() == null ? 0 : start.scales().byteSize()));
            Part part = new Part(start, codes, scales, trained ? trainingBytes : -1);
            parts.add(part);
            if (trained) {
                trainingBytes = roundUp(trainingBytes + Float.BYTES * (3 * part.numbers() + start.rows()));
            }
        }

        private static long roundUp(long bytes) {
            return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        }
    }

    private MemorySegment table(DeviceMemory training) {
        MemorySegment written = MemorySegment.ofArray(new long[parts.size() * STRUCTURE_BYTES / Long.BYTES]);
        for (int p = 0; p < parts.size(); p++) {
            Part part = parts.get(p);
            if (part.start() != null) {
                write(written.asSlice((long) p * STRUCTURE_BYTES, STRUCTURE_BYTES), part, training);
            }
        }
        return written;
    }

    private void write(MemorySegment structure, Part part, DeviceMemory memory) {
        EncodedMatrix start = part.start();
        long values = part.trained() ? memory.address() + part.training() : 0;
        long step = part.trained() ? Float.BYTES * part.numbers() : 0;
        long codes = stored.address() + part.codes();
        long scales = start.scales() == null ? 0 : stored.address() + part.scales();
        long[] training = {values, values + step, values + 2 * step, values + 3 * step};
        int[] form = RowForm.of(start);
        MemorySegment.copy(new long[] {codes, scales}, 0, structure, ValueLayout.JAVA_LONG, 0, 2);
        MemorySegment.copy(form, 0, structure, ValueLayout.JAVA_INT, 16, form.length);
        MemorySegment.copy(training, 0, structure, ValueLayout.JAVA_LONG, 80, training.length);
    }

    private int[] slots() {
        int[] slots = new int[matrix.rows()];
        Arrays.setAll(slots, matrix::slot);
        return slots;
    }

    private void load(int number) {
        Part part = parts.get(number);
        if (part.start() == null) {
            return;
        }
        device.upload(part.start().data(), stored, part.codes());
        if (part.start().scales() != null) {
            device.upload(part.start().scales(), stored, part.scales());
        }
        if (part.trained()) {
            Rows all = new Rows(0, number, 0, Math.toIntExact(part.start().rows()));
            launch(begin, all, rows(all));
        }
    }

    /** All rows of the right factor of a basis. */
    Rows right(int basis) {
        return new Rows(
                0, matrix.groups().size() + basis, 0, (int) matrix.right(basis).rows());
    }

    /**
     * Writes stored rows as binary32.
     *
     * @param target device address of count x stride numbers; those beyond a row's width become 0
     * @param stride at least the widest row
     */
    void decode(Rows rows, long target, int stride) {
        launch(decode, rows, rows(rows).address(target).i32(stride));
    }

    /**
     * Moves trained rows by a step of Adam and stores them anew.
     *
     * @param gradient device address of count x stride numbers
     * @param renewScales whether a row gets the smallest scales that clip nothing, or keeps those it has
     */
    void train(Rows rows, long gradient, int stride, CudaAdamStep step, boolean renewScales) {
        Parameters all = rows(rows).address(gradient).f64(step.length()).f32(step.secondScale());
        launch(train, rows, all.i32(stride, renewScales ? 1 : 0));
    }

    private Parameters rows(Rows rows) {
        parameters.reset().address(table.address(), rows.order(), groupOf.address(), slotOf.address(), log8.address());
        return parameters.i32(rows.matrix(), rows.first(), rows.count());
    }

    private void launch(Kernel kernel, Rows rows, Parameters all) {
        if (rows.count() > 0) {
            kernel.launch(Math.ceilDiv(rows.count(), ROWS_OF_BLOCK), THREADS, all);
        }
    }

    /** What is stored now, in new memory of {@code arena}, without a bias. */
    CompressedMatrix snapshot(Arena arena) {
        int groups = matrix.groups().size();
        List<EncodedMatrix> left = new ArrayList<>();
        for (int g = 0; g < groups; g++) {
            left.add(matrix.left(g) == null ? null : copy(matrix.left(g), parts.get(g), arena));
        }
        List<EncodedMatrix> right = new ArrayList<>();
        for (int b = 0; b < matrix.bases(); b++) {
            right.add(copy(matrix.right(b), parts.get(groups + b), arena));
        }
        return new CompressedMatrix(matrix.name(), matrix.columns(), matrix.groupOf(), matrix.groups(), left, right);
    }

    /** What is not trained is still what it was at the start. */
    private EncodedMatrix copy(EncodedMatrix start, Part part, Arena arena) {
        if (!part.trained()) {
            return start.copyTo(arena);
        }
        EncodedMatrix copy =
                EncodedMatrix.allocate(arena, start.profile(), start.rows(), start.block(), start.scaleFormat());
        device.download(stored, part.codes(), copy.data());
        if (copy.scales() != null) {
            device.download(stored, part.scales(), copy.scales());
        }
        return copy;
    }
}
