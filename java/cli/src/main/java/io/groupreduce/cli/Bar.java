package io.groupreduce.cli;

import io.groupreduce.api.Progress;
import io.groupreduce.error.OneLine;
import java.util.concurrent.TimeUnit;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/** A progress bar on standard error when that is a terminal, nothing otherwise. */
final class Bar implements Progress, AutoCloseable {
    private static final int STEPS = 1000;

    private final ProgressBar bar;
    private long furthest;

    /** {@code bar} is {@code null} where nothing is drawn. */
    Bar(ProgressBar bar) {
        this.bar = bar;
    }

    static Bar start(String task, boolean wanted) {
        boolean terminal = System.console() != null && System.console().isTerminal();
        if (!wanted || !terminal) {
            return new Bar(null);
        }
        return new Bar(new ProgressBarBuilder()
                .setTaskName(task)
                .setInitialMax(STEPS)
                .setStyle(ProgressBarStyle.ASCII)
                .setUpdateIntervalMillis((int) TimeUnit.SECONDS.toMillis(1) / 5)
                .hideEta()
                .clearDisplayOnFinish()
                .build());
    }

    @Override
    public void at(String step, double fraction) {
        if (bar != null) {
            bar.setExtraMessage(OneLine.of(step));
            // A search that begins again is no step back for who waits.
            furthest = Math.max(furthest, Math.round(fraction * STEPS));
            bar.stepTo(furthest);
        }
    }

    @Override
    public void close() {
        if (bar != null) {
            bar.close();
        }
    }
}
