package io.groupreduce;

import io.groupreduce.LoadedMatrix.Query;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.internal.select.FullRanking;
import io.groupreduce.internal.select.WholeDraw;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.Chosen;
import io.groupreduce.spi.Question;
import java.lang.foreign.MemorySegment;

/**
 * Answers the requests of a batch: all rows say what they need to know, one pass finds it, rows decide. Those few whose lists do not tell, because
 * the distribution is flat or the list longer than sessions make, get all their logits in a second pass, in which no other row takes part. Its
 * memory serves one query after the other.
 */
final class Answering {
    private Question[] questions = {};
    private int count;
    private Chosen chosen = new Chosen(new int[0], new int[0], new float[0]);
    private float[] hidden = {};
    private float[] all = {};
    private MemorySegment written;
    private int[] open = {};
    private FullRanking ranking;
    private WholeDraw draw;

    /** Numbers of the longest array. */
    int longest() {
        return Math.max(Math.max(chosen.tokens().length, all.length), hidden.length);
    }

    /**
     * Answers.
     *
     * @throws InvalidDataException naming the row of a request that cannot be answered
     */
    void answer(Query query, LoadedMatrix loaded, Request[] requests, Answers answers) {
        int states = query.states();
        Request.requireEach(requests, states);
        answers.begin(states, loaded.range());
        ask(loaded, requests, answers);
        query.session().answer(query.hidden(), states, questions, count, chosen);
        int left = 0;
        open = open.length < states ? new int[states] : open;
        for (int s = 0; s < states; s++) {
            Row row = answers.row(s);
            if (!row.collect(chosen.logits(), chosen.from()[s])) {
                throw query.notFinite(s);
            }
            if (row.isOpen()) {
                open[left++] = s;
            }
        }
        // As many as are kept for the next query.
        int together = Math.max(1, LoadedMatrix.MOST_KEPT / loaded.range().count());
        for (int from = 0; from < left; from += together) {
            decide(query, loaded, answers, from, Math.min(together, left - from));
        }
    }

    private void ask(LoadedMatrix loaded, Request[] requests, Answers answers) {
        int states = requests.length;
        if (questions.length < 2 * states) {
            questions = new Question[2 * states];
            chosen = new Chosen(new int[states + 1], chosen.tokens(), chosen.logits());
        }
        count = 0;
        long fetched = 0;
        for (int s = 0; s < states; s++) {
            RowPlan plan = answers.row(s).plan();
            plan.plan(requests[s], s, loaded.range(), loaded.matrix().name(), loaded.tolerance());
            if (plan.model().any()) {
                questions[count++] = plan.model();
            }
            if (plan.other().any()) {
                questions[count++] = plan.other();
            }
            chosen.from()[s] = (int) fetched;
            fetched += plan.fetchedCount();
            if (fetched > Matrix.LONGEST_ARRAY) {
                throw new InvalidDataException("The requests of rows 0 to " + s + " take " + fetched
                        + " logits one by one, too many for one query; ask in several batches.");
            }
        }
        chosen.from()[states] = (int) fetched;
        if (chosen.tokens().length < fetched) {
            int room = (int) Math.min(2 * fetched, Matrix.LONGEST_ARRAY);
            chosen = new Chosen(chosen.from(), new int[room], new float[room]);
        }
        for (int s = 0; s < states; s++) {
            answers.row(s).plan().fetchedTo(chosen.tokens(), chosen.from()[s]);
        }
    }

    /** Some of the rows that are still open, from all their logits. */
    private void decide(Query query, LoadedMatrix loaded, Answers answers, int from, int rows) {
        int columns = loaded.matrix().columns();
        int n = loaded.range().count();
        hidden = hidden.length < rows * columns ? new float[rows * columns] : hidden;
        if (all.length < rows * n) {
            all = new float[rows * n];
            written = MemorySegment.ofArray(all);
        }
        if (ranking == null) {
            ranking = new FullRanking();
            draw = new WholeDraw();
        }
        for (int i = 0; i < rows; i++) {
            System.arraycopy(query.hidden(), open[from + i] * columns, hidden, i * columns, columns);
        }
        query.session().logits(hidden, rows, written);
        for (int i = 0; i < rows; i++) {
            answers.row(open[from + i]).decideFrom(all, i * n, ranking, draw);
        }
    }
}
