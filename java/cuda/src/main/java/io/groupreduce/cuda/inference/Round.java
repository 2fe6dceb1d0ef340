package io.groupreduce.cuda.inference;

import io.groupreduce.cuda.inference.PassBuffers.Part;
import io.groupreduce.cuda.inference.PassBuffers.Shape;
import io.groupreduce.internal.select.KeyedLogit;
import io.groupreduce.spi.Question;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The part of a batch that goes to the card together: the next questions and chosen tokens, and the states that they are about. A state
 * of which nothing is asked stays where it is; one with more than there is room for comes again in the next round.
 */
final class Round {
    /** The most states, and questions: the largest kernel takes 64 at a time, and more would only take memory. */
    static final int MOST = 512;

    /** Targets are padded to so many, so that rounds of about as many have one shape. */
    static final int TARGETS_UNIT = 64;

    private static final double LEAST_SCALE = 1e-30;
    private static final double MOST_SCALE = 1e30;

    private final HeadLayout layout;
    private final PassBuffers buffers;
    /** The states of the round, by their places in the batch. */
    private final int[] states = new int[MOST];
    /** The number of each question's state among these. */
    private final int[] rows = new int[MOST];
    /** The number of each question's mask, -1 for none. */
    private final int[] masks = new int[MOST];

    private final List<long[]> sets = new ArrayList<>();

    private Batch batch;
    private int listed;
    private boolean drawn;
    private int endTarget;
    private int firstState;
    private int firstQuestion;
    private int firstTarget;
    // Of the round:
    private int count;
    private int questions;
    private int targets;
    private Shape shape;

    Round(HeadLayout layout, PassBuffers buffers) {
        this.layout = layout;
        this.buffers = buffers;
    }

    /** Turns to a batch; its first round has to be planned. */
    void start(Batch next) {
        batch = next;
        listed = 0;
        drawn = false;
        for (int q = 0; q < batch.count() && batch.questions() != null; q++) {
            listed = Math.max(listed, batch.questions()[q].listed());
            drawn |= batch.questions()[q].drawTemperature() > 0;
        }
        // A list of one is the likeliest token, which comes back anyway.
        listed = listed > 1 ? listed : 0;
        firstState = 0;
        firstQuestion = 0;
        firstTarget = batch.firstTarget(0);
        endTarget = batch.firstTarget(batch.states());
    }

    /** Whether something is to be asked still. */
    boolean isLeft() {
        return firstQuestion < batch.count() || firstTarget < endTarget;
    }

    /** What comes next takes as many bytes of the device, unless a single question takes more. */
    Shape plan(long bytes) {
        boolean everyLogit = batch.questions() == null;
        long stateBytes = PassBuffers.bytes(layout, new Shape(1, 0, 0, 0, listed, drawn, everyLogit));
        long room = bytes;
        count = 0;
        questions = 0;
        targets = 0;
        sets.clear();
        for (int state = firstState; state < batch.states() && count < MOST; state++) {
            if (!isAsked(state) && targetsOf(state) == 0) {
                continue;
            }
            room -= stateBytes;
            int before = questions + targets;
            while (isAsked(state) && questions < MOST) {
                int known = sets.size();
                long cost = addMask() + PassBuffers.bytes(layout, new Shape(0, 1, 0, 0, listed, drawn, everyLogit));
                if (cost > room && questions + targets > 0) {
                    sets.subList(known, sets.size()).clear();
                    break;
                }
                room -= cost;
                rows[questions++] = count;
            }
            long fitting = Math.max(room / (PassBuffers.TARGET_BYTES + Float.BYTES), questions + targets > 0 ? 0 : 1);
            targets += (int) Math.min(fitting, targetsOf(state));
            if (questions + targets == before) {
                break;
            }
            states[count++] = state;
            if (isAsked(state) || targetsOf(state) > 0) {
                break;
            }
        }
        int padded = Math.ceilDiv(targets, TARGETS_UNIT) * TARGETS_UNIT;
        shape = new Shape(count, questions, sets.size(), padded, listed, drawn, everyLogit);
        return shape;
    }

    /** Whether the next question is about a state. */
    private boolean isAsked(int state) {
        int next = firstQuestion + questions;
        return next < batch.count() && batch.state(next) == state;
    }

    /** Chosen tokens of a state that are left. */
    private int targetsOf(int state) {
        return Math.max(0, batch.firstTarget(state + 1) - firstTarget - targets);
    }

    /** The mask of the next question, once where several have the same; returns the bytes that it takes. */
    private long addMask() {
        long[] open = batch.questions() == null ? null : question(questions).open();
        int at = sets.size() - 1;
        while (at >= 0 && sets.get(at) != open) {
            at--;
        }
        long taken = 0;
        if (open != null && at < 0) {
            at = sets.size();
            sets.add(open);
            taken = (long) Long.BYTES * layout.maskWords();
        }
        masks[questions] = at;
        return taken;
    }

    private Question question(int number) {
        return batch.questions()[firstQuestion + number];
    }

    /** Whether no smaller round could be planned. */
    boolean isSmallest() {
        return questions + targets == 1;
    }

    /** The place of the first question in the batch. */
    int firstQuestion() {
        return firstQuestion;
    }

    Shape shape() {
        return shape;
    }

    /** Brings everything to where it goes to the device from. */
    void put() {
        MemorySegment input = buffers.input();
        int columns = layout.columns;
        for (int row = 0; row < count; row++) {
            long to = buffers.at(Part.HIDDEN) + (long) Float.BYTES * row * columns;
            MemorySegment.copy(batch.hidden(), states[row] * columns, input, ValueLayout.JAVA_FLOAT, to, columns);
        }
        for (int q = 0; q < questions; q++) {
            putQuestion(q, input.asSlice(buffers.at(Part.QUESTIONS) + (long) PassBuffers.QUESTION_BYTES * q));
        }
        for (int set = 0; set < sets.size(); set++) {
            long to = buffers.at(Part.MASKS) + maskBytes(set);
            MemorySegment.copy(sets.get(set), 0, input, ValueLayout.JAVA_LONG, to, layout.maskWords());
        }
        putTargets(input);
    }

    private long maskBytes(int sets) {
        return (long) Long.BYTES * layout.maskWords() * sets;
    }

    private void putQuestion(int number, MemorySegment to) {
        Question asked = batch.questions() == null ? null : question(number);
        double sumTemperature = asked == null ? 0 : asked.sumTemperature();
        double scale = sumTemperature > 0 ? Math.clamp(1 / sumTemperature, LEAST_SCALE, MOST_SCALE) : 1;
        to.set(
                ValueLayout.JAVA_LONG,
                0,
                masks[number] < 0 ? 0 : buffers.address(Part.MASKS) + maskBytes(masks[number]));
        to.set(ValueLayout.JAVA_LONG, 8, asked == null ? 0 : asked.key());
        to.set(ValueLayout.JAVA_DOUBLE, 16, asked == null ? 0 : asked.drawTemperature());
        to.set(ValueLayout.JAVA_FLOAT, 24, (float) scale);
        to.set(ValueLayout.JAVA_INT, 28, rows[number]);
        to.set(ValueLayout.JAVA_INT, 32, asked == null ? 0 : asked.listed());
    }

    private void putTargets(MemorySegment input) {
        long to = buffers.at(Part.TARGETS);
        int target = firstTarget;
        for (int row = 0; row < count; row++) {
            int end = Math.min(batch.firstTarget(states[row] + 1), firstTarget + targets);
            for (; target < end; target++, to += PassBuffers.TARGET_BYTES) {
                input.set(ValueLayout.JAVA_INT, to, row);
                input.set(
                        ValueLayout.JAVA_INT, to + Integer.BYTES, batch.chosen().tokens()[target]);
            }
        }
        for (int pad = targets; pad < shape.targets(); pad++, to += PassBuffers.TARGET_BYTES) {
            input.set(ValueLayout.JAVA_INT, to, -1);
        }
    }

    /** Hands out what came back. */
    void answer() {
        for (int q = 0; q < questions; q++) {
            answer(question(q), q);
        }
        if (targets > 0) {
            long from = buffers.at(Part.SCORES);
            float[] to = batch.chosen().logits();
            MemorySegment.copy(buffers.result(), ValueLayout.JAVA_FLOAT, from, to, firstTarget, targets);
        }
    }

    private void answer(Question asked, int number) {
        MemorySegment found = answerOf(number);
        double sum = found.get(ValueLayout.JAVA_DOUBLE, 0);
        long best = found.get(ValueLayout.JAVA_LONG, 8);
        boolean broken = isBroken(number);
        int k = asked.listed();
        if (broken) {
            Arrays.fill(asked.listTokens(), 0, k, -1);
            Arrays.fill(asked.listLogits(), 0, k, Float.NaN);
        } else if (k == 1) {
            asked.listTokens()[0] = KeyedLogit.token(best);
            asked.listLogits()[0] = KeyedLogit.logit(best);
        } else if (k > 1) {
            long from = (long) Integer.BYTES * listed * number;
            MemorySegment all = buffers.result();
            MemorySegment.copy(all, ValueLayout.JAVA_INT, buffers.at(Part.TOKENS) + from, asked.listTokens(), 0, k);
            MemorySegment.copy(all, ValueLayout.JAVA_FLOAT, buffers.at(Part.LOGITS) + from, asked.listLogits(), 0, k);
        }
        if (asked.sumTemperature() > 0) {
            asked.answerSum(broken ? Float.NaN : KeyedLogit.logit(best), sum);
        }
        if (asked.drawTemperature() > 0) {
            asked.answerDraw(found.get(ValueLayout.JAVA_INT, 20), found.get(ValueLayout.JAVA_FLOAT, 16));
        }
    }

    private MemorySegment answerOf(int number) {
        long at = buffers.at(Part.ANSWERS) + (long) PassBuffers.ANSWER_BYTES * number;
        return buffers.result().asSlice(at, PassBuffers.ANSWER_BYTES);
    }

    /** Whether numbers were beyond binary32, so that a question has no answer. */
    boolean isBroken(int number) {
        return answerOf(number).get(ValueLayout.JAVA_LONG, 8) == 0;
    }

    /** Turns to what comes next. */
    void next() {
        firstState = states[count - 1];
        firstQuestion += questions;
        firstTarget += targets;
    }
}
