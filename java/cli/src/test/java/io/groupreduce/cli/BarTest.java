package io.groupreduce.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarConsumer;
import org.junit.jupiter.api.Test;

class BarTest {
    /** Draws nowhere. */
    private static final class Nowhere implements ProgressBarConsumer {
        @Override
        public int getMaxRenderedLength() {
            return 80;
        }

        @Override
        public void accept(String line) {}

        @Override
        public void close() {}
    }

    @Test
    void aStepThatBeginsAgainNeverMovesTheBarBack() {
        try (ProgressBar drawn = new ProgressBarBuilder()
                        .setInitialMax(1000)
                        .setConsumer(new Nowhere())
                        .build();
                Bar bar = new Bar(drawn)) {
            bar.at("search", 0.12);
            assertEquals(120, drawn.getCurrent());
            bar.at("search", 0.04);
            bar.at("search", 0);
            assertEquals(120, drawn.getCurrent());
            bar.at("compression", 0.2);
            assertEquals(200, drawn.getCurrent());
        }
    }
}
