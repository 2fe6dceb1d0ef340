package io.groupreduce.examples;

import static io.groupreduce.examples.JsonTokens.Kind.CLOSE_ARRAY;
import static io.groupreduce.examples.JsonTokens.Kind.CLOSE_OBJECT;
import static io.groupreduce.examples.JsonTokens.Kind.OPEN_ARRAY;
import static io.groupreduce.examples.JsonTokens.Kind.OPEN_OBJECT;
import static io.groupreduce.examples.JsonTokens.Kind.OTHER_VALUE;
import static io.groupreduce.examples.JsonTokens.Kind.STRING;

import io.groupreduce.TokenSet;
import io.groupreduce.examples.JsonTokens.Kind;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.EnumSet;

/** Where a sequence stands in a JSON object: which tokens may follow, and what follows from them. A pushdown automaton, one for each sequence. */
final class JsonGrammar {
    /** A comma, a key, a colon, a value and the end: the longest way to where brackets can be closed, and out. */
    private static final int TO_FINISH = 5;

    /** What comes next. */
    private enum Next {
        OBJECT(EnumSet.of(OPEN_OBJECT)),
        FIRST_KEY(EnumSet.of(STRING, CLOSE_OBJECT), EnumSet.of(CLOSE_OBJECT)),
        KEY(EnumSet.of(STRING)),
        COLON(EnumSet.of(Kind.COLON)),
        VALUE(EnumSet.of(OPEN_OBJECT, OPEN_ARRAY, STRING, OTHER_VALUE), EnumSet.of(STRING, OTHER_VALUE)),
        AFTER_MEMBER(EnumSet.of(Kind.COMMA, CLOSE_OBJECT), EnumSet.of(CLOSE_OBJECT)),
        FIRST_ELEMENT(EnumSet.of(OPEN_OBJECT, OPEN_ARRAY, STRING, OTHER_VALUE, CLOSE_ARRAY), EnumSet.of(CLOSE_ARRAY)),
        AFTER_ELEMENT(EnumSet.of(Kind.COMMA, CLOSE_ARRAY), EnumSet.of(CLOSE_ARRAY)),
        END(EnumSet.of(Kind.END)),
        NOTHING(EnumSet.noneOf(Kind.class));

        private final EnumSet<Kind> kinds;
        private final EnumSet<Kind> shortest;

        Next(EnumSet<Kind> kinds) {
            this(kinds, kinds);
        }

        /** @param shortest those of the kinds that lead to the end soonest */
        Next(EnumSet<Kind> kinds, EnumSet<Kind> shortest) {
            this.kinds = kinds;
            this.shortest = shortest;
        }
    }

    private final JsonTokens tokens;
    private final int most;
    /** For each open bracket, what comes after a value inside. */
    private final Deque<Next> open = new ArrayDeque<>();

    private final StringBuilder text = new StringBuilder();
    private Next next = Next.OBJECT;
    private int count;

    /** An object of at most so many tokens with its end, of 3 at least: where few are left, brackets are closed. */
    JsonGrammar(JsonTokens tokens, int most) {
        this.tokens = tokens;
        this.most = most;
    }

    boolean finished() {
        return next == Next.NOTHING;
    }

    /** The tokens that may come next. */
    TokenSet allowed() {
        return tokens.of(count + open.size() + TO_FINISH > most ? next.shortest : next.kinds);
    }

    /** Takes a token that was allowed. */
    void accept(int token) {
        text.append(tokens.text(token));
        count++;
        switch (tokens.kind(token)) {
            case OPEN_OBJECT -> begin(Next.AFTER_MEMBER, Next.FIRST_KEY);
            case OPEN_ARRAY -> begin(Next.AFTER_ELEMENT, Next.FIRST_ELEMENT);
            case COLON -> next = Next.VALUE;
            case COMMA -> next = next == Next.AFTER_MEMBER ? Next.KEY : Next.VALUE;
            case END -> next = Next.NOTHING;
            case CLOSE_OBJECT, CLOSE_ARRAY -> {
                open.pop();
                afterValue();
            }
            default -> {
                if (next == Next.FIRST_KEY || next == Next.KEY) {
                    next = Next.COLON;
                } else {
                    afterValue();
                }
            }
        }
    }

    private void begin(Next afterValue, Next first) {
        open.push(afterValue);
        next = first;
    }

    private void afterValue() {
        next = open.isEmpty() ? Next.END : open.peek();
    }

    String text() {
        return text.toString();
    }
}
