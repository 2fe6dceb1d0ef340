package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.TILE;

import io.groupreduce.spi.Chosen;
import io.groupreduce.spi.Question;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.Workers;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * The memory of a query and its work, a block of hidden states at a time: {@link #take} computes their coordinates, {@link #ask} answers
 * questions about them in one pass over all tiles of the head.
 *
 * <pre>x = (L_p[i] . z_b[0 : k_p]) scale_i + bias_i</pre>
 *
 * <p>Coordinates are shared out by panels of directions; then the tiles, some of them a task, the number and order of which depend on
 * the head alone. Few states go straight over the codes, each as if it were alone, and may leave tiles out ({@link DirectSweep}); many
 * share the decoding of a tile and one matrix product ({@link BatchSweep}). The logits of a tile are computed once for each state, go into
 * the {@link Search} of every question about it, and are forgotten. Sums of tasks are merged in order, tokens have a total order: nothing
 * depends on who computed what.
 */
final class HeadPass {
    /** States taken together: whole rows of the matrix product. */
    private static final int MOST_STATES = 44 * Lanes.MR;

    /** States up to which a matrix product would save less than bounds and its decoding cost. */
    static final int FEW_STATES = 4;

    /** Below this many bytes of work a second thread costs more than it saves. */
    private static final long SHARED_BYTES = 1 << 19;

    private static final int TASKS = 256;
    /** The end of a task costs an exponential for every lane of every sum, so it should not come too soon. */
    private static final int FEWEST_TILES = 16;

    private static final int MOST_TILES = 32;

    /** One of so many tasks goes first, to find what the rest is compared with. */
    private static final int LEAD = 16;

    /** Chosen tokens of a task. */
    private static final int CHOSEN = 128;

    private final Workers workers;
    private final PackedHead head;
    private final RowReader rows;
    private final TailBounds bounds;
    private final StateProjection projection;
    private final DirectSweep direct;
    private final BatchSweep batch;
    private final Scratch[] scratch;
    private final RunningSoftmax.Merged sums = new RunningSoftmax.Merged();
    private final int tilesOfTask;
    private final int tasks;
    private final long headBytes;
    private final Workers.Task sweeping = this::sweepTask;
    private final Workers.Task gathering = this::gatherTask;

    private int states;
    private boolean few;
    /** By state the number of its first question, and one more. */
    private int[] firstQuestion = new int[2];
    /** By question, the lanes of its open tokens in every tile. */
    private long[][] open = new long[0][];

    private int slots;
    private int firstTask;
    private boolean bounded;
    private MemorySegment target;
    private Chosen chosen;
    private int firstChosen;
    private int firstState;

    /** {@code bounds} is {@code null} where nothing is left out. */
    HeadPass(Workers workers, PackedHead head, RowReader rows, TailBounds bounds) {
        this.workers = workers;
        this.head = head;
        this.rows = rows;
        this.bounds = bounds;
        projection = new StateProjection(head);
        direct = new DirectSweep(this, head, projection);
        batch = new BatchSweep(this, head, projection);
        tilesOfTask = Math.clamp(Math.ceilDiv(head.tiles(), TASKS), FEWEST_TILES, MOST_TILES);
        tasks = Math.ceilDiv(head.tiles(), tilesOfTask);
        headBytes = head.bytes();
        scratch = new Scratch[workers.count()];
        for (int w = 0; w < scratch.length; w++) {
            scratch[w] = new Scratch();
        }
    }

    /**
     * Takes up states of a batch and computes their coordinates.
     *
     * @param end how many the batch has
     * @return how many were taken
     */
    int take(float[] hidden, int first, int end) {
        firstState = first;
        states = Math.min(MOST_STATES, end - first);
        few = end <= FEW_STATES;
        projection.reserve(states, few);
        System.arraycopy(hidden, first * head.columns, projection.hidden(), 0, states * head.columns);
        share(projection, projection.tasks(), projection.bytes() * states);
        return states;
    }

    private void share(Workers.Task task, int count, long bytes) {
        if (bytes < SHARED_BYTES) {
            for (int t = 0; t < count; t++) {
                task.run(t, 0);
            }
        } else {
            workers.runOrAlone(count, task);
        }
    }

    /** Answers questions {@code from .. to - 1}, which are about the states that were taken, in order. */
    void ask(Question[] questions, int from, int to) {
        if (from == to) {
            return;
        }
        start(questions, from, to);
        boolean tolerant = false;
        for (int q = 0; q < to - from; q++) {
            tolerant |= scratch[0].searches[q].tolerant();
        }
        boolean bounding = few && bounds != null && prunable() && bounds.worthTrying(states);
        int lead = bounding || tolerant ? Math.max(1, tasks / LEAD) : 0;
        sweep(0, lead);
        if (lead > 0) {
            compare(to - from, lead);
            bounded = bounding;
        }
        sweep(lead, tasks - lead);
        if (bounding) {
            double made = 0;
            double all = 0;
            for (Scratch s : scratch) {
                made += s.made;
                all += s.all;
            }
            bounds.add(states, all == 0 ? 1 : made / all);
        }
        for (int q = 0; q < to - from; q++) {
            Search found = scratch[0].searches[q];
            for (int w = 1; w < scratch.length; w++) {
                found.merge(scratch[w].searches[q]);
            }
            found.answer(projection.finite(questions[from + q].state() - firstState), sums, tasks);
        }
    }

    /** Whether all that is asked about some state can do without some tokens. */
    private boolean prunable() {
        boolean found = false;
        for (int state = 0; state < states; state++) {
            boolean all = asked(state);
            for (int q = firstQuestion[state]; q < firstQuestion[state + 1]; q++) {
                all &= scratch[0].searches[q].prunable();
            }
            found |= all;
        }
        return found;
    }

    private void start(Question[] questions, int from, int to) {
        if (firstQuestion.length <= states) {
            firstQuestion = new int[states + 1];
        }
        if (open.length < to - from) {
            open = Arrays.copyOf(open, to - from);
        }
        for (Scratch s : scratch) {
            s.start(states, to - from);
        }
        target = null;
        bounded = false;
        slots = 0;
        int next = 0;
        long[] before = null;
        long[] beforeLanes = null;
        for (int q = 0; q < to - from; q++) {
            Question question = questions[from + q];
            int state = question.state() - firstState;
            while (next <= state) {
                firstQuestion[next++] = q;
            }
            long[] lanes = head.lanes;
            if (question.open() != null) {
                // Neighbours often share what a grammar allows.
                lanes = question.open() == before ? beforeLanes : lanes(q, question.open());
                before = question.open();
                beforeLanes = lanes;
            }
            for (Scratch s : scratch) {
                s.searches[q].start(question, lanes, slots);
            }
            slots += question.sumTemperature() > 0 ? 1 : 0;
        }
        Arrays.fill(firstQuestion, next, states + 1, to - from);
        sums.start(tasks, slots);
        for (int q = 0; q < to - from; q++) {
            Search search = scratch[0].searches[q];
            if (search.summed()) {
                sums.setInverse(search.slot(), search.inverse());
            }
        }
        for (int state = 0; state < states; state++) {
            if (few && asked(state)) {
                projection.prepare(state);
            }
        }
    }

    private long[] lanes(int q, long[] openTokens) {
        if (open[q] == null) {
            open[q] = new long[head.tiles()];
        }
        head.lanesOf(openTokens, open[q]);
        return open[q];
    }

    /** Runs some tasks. */
    private void sweep(int first, int count) {
        firstTask = first;
        share(sweeping, count, headBytes * states * count / tasks);
    }

    private void sweepTask(int task, int worker) {
        Scratch s = scratch[worker];
        int number = firstTask + task;
        s.softmax.start(slots);
        for (int q = 0; slots > 0 && q < firstQuestion[states]; q++) {
            if (s.searches[q].summed()) {
                s.softmax.setInverse(s.searches[q].slot(), s.searches[q].inverse());
            }
        }
        int end = Math.min(head.tiles(), (number + 1) * tilesOfTask);
        for (int tile = number * tilesOfTask; tile < end; tile++) {
            if (few) {
                direct.sweep(tile, states, bounded ? bounds : null, s);
            } else {
                batch.sweep(tile, states, s);
            }
        }
        sums.take(number, s.softmax);
    }

    /**
     * After the first tasks: the logit below which a token matters to nobody. With a sum, tokens are left out that together add no
     * more than the tolerance to it, which must not depend on the threads; without, every worker compares with its own list too.
     */
    private void compare(int questions, int lead) {
        for (int q = 0; q < questions; q++) {
            Search leader = scratch[0].searches[q];
            for (int w = 1; w < scratch.length; w++) {
                leader.merge(scratch[w].searches[q]);
            }
            for (int w = 1; w < scratch.length; w++) {
                scratch[w].searches[q].follow(leader);
            }
            if (leader.tolerant()) {
                float largest = sums.maximum(leader.slot(), lead);
                float limit = leader.sumLimit(largest, sums.sum(leader.slot(), lead, largest), head.tokenCount());
                for (Scratch s : scratch) {
                    s.searches[q].limitSum(limit);
                }
            }
        }
    }

    /** Whether there are questions about a state. */
    private boolean asked(int state) {
        return firstQuestion[state] < firstQuestion[state + 1];
    }

    /**
     * Turns the questions about a state to a tile.
     *
     * @return the logit below which no token of the tile matters; infinite if none does
     */
    float turnTo(int state, int tile, Scratch s) {
        if (target != null) {
            return Float.NEGATIVE_INFINITY;
        }
        float least = Float.POSITIVE_INFINITY;
        for (int q = firstQuestion[state]; q < firstQuestion[state + 1]; q++) {
            least = Math.min(least, s.searches[q].turnTo(tile, head.tokens));
        }
        return least;
    }

    /** Takes in the logits of a state, which start at {@code at}, for all that is asked about it. */
    void consume(int state, int tile, float[] logits, int at, Scratch s) {
        if (target != null) {
            long row = ((long) firstState + state) * head.tokenCount();
            for (int i = 0; i < head.group(tile).rows(tile); i++) {
                long token = head.tokens[tile * TILE + i];
                target.setAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, row + token, logits[at + i]);
            }
            return;
        }
        for (int q = firstQuestion[state]; q < firstQuestion[state + 1]; q++) {
            s.searches[q].take(tile, head.tokens, logits, at, s.softmax, s.part);
        }
    }

    /** Writes all logits of the states that were taken; not a number, all, of a state without coordinates. */
    void write(MemorySegment all) {
        for (Scratch s : scratch) {
            s.start(states, 0);
        }
        target = all;
        bounded = false;
        slots = 0;
        firstQuestion = firstQuestion.length <= states ? new int[states + 1] : firstQuestion;
        Arrays.fill(firstQuestion, 0, states + 1, 0);
        sums.start(tasks, 0);
        for (int state = 0; state < states && few; state++) {
            projection.prepare(state);
        }
        sweep(0, tasks);
        for (int state = 0; state < states; state++) {
            if (!projection.finite(state)) {
                long row = ((long) firstState + state) * head.tokenCount();
                for (int token = 0; token < head.tokenCount(); token++) {
                    all.setAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, row + token, Float.NaN);
                }
            }
        }
        target = null;
    }

    /** Computes the logits of tokens chosen for the states that were taken. */
    void gather(Chosen tokens) {
        chosen = tokens;
        firstChosen = tokens.from()[firstState];
        int count = tokens.from()[firstState + states] - firstChosen;
        share(gathering, Math.ceilDiv(count, CHOSEN), headBytes * count / head.tokenCount());
        chosen = null;
    }

    private void gatherTask(int task, int worker) {
        int at = firstChosen + task * CHOSEN;
        int end = Math.min(at + CHOSEN, chosen.from()[firstState + states]);
        for (int state = 0; at < end; state++) {
            int next = Math.min(end, chosen.from()[firstState + state + 1]);
            if (at < next && projection.finite(state)) {
                rows.logits(chosen.tokens(), at, next, projection, state, chosen.logits());
            } else if (at < next) {
                Arrays.fill(chosen.logits(), at, next, Float.NaN);
            }
            at = Math.max(at, next);
        }
    }
}
