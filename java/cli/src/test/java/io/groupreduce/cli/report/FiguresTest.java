package io.groupreduce.cli.report;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class FiguresTest {
    @Test
    void bytesKeepThreeDigits() {
        assertEquals("999 B", Figures.bytes(999));
        assertEquals("1.00 kB", Figures.bytes(1000));
        assertEquals("9.99 kB", Figures.bytes(9_994));
        assertEquals("10.0 kB", Figures.bytes(9_996));
        assertEquals("999 kB", Figures.bytes(999_400));
        assertEquals("1.00 MB", Figures.bytes(999_600));
        assertEquals("3.25 GB", Figures.bytes(3_250_000_000L));
        assertEquals("12,345,678", Figures.count(12_345_678));
    }

    @Test
    void shares() {
        assertEquals("0.00 %", Figures.percent(0));
        assertEquals("12.35 %", Figures.percent(0.12346));
        assertEquals("0.0123 %", Figures.percent(0.000123));
        assertEquals("+1.00 %", Figures.signedPercent(0.01));
        assertEquals("-5.00 %", Figures.signedPercent(-0.05));
    }

    @Test
    void perplexityAndDivergence() {
        assertEquals("1,234.57", Figures.perplexity(1234.567));
        assertEquals("2.50e+07", Figures.perplexity(2.5e7));
        assertEquals("not finite", Figures.perplexity(Double.POSITIVE_INFINITY));
        assertEquals("not finite", Figures.signedPercent(Double.NaN));
        assertEquals("not finite", Figures.signedPercent(Double.POSITIVE_INFINITY));
        assertEquals("not finite", Figures.ratio(Double.NaN));
        assertEquals("0.0312", Figures.nats(0.0312));
        assertEquals("1.50e-05", Figures.nats(0.000015));
        assertEquals("not finite", Figures.nats(Double.NaN));
    }

    @Test
    void durations() {
        assertEquals("0.50 s", Figures.duration(0.5));
        assertEquals("12.3 s", Figures.duration(12.34));
        assertEquals("2 min 5 s", Figures.duration(125));
        assertEquals("1 h 1 min", Figures.duration(3661));
    }

    @Test
    void wholeNumbersHaveNoPoint() {
        assertEquals("1", Figures.plain(1));
        assertEquals("0.25", Figures.plain(0.25));
    }

    @Test
    void textWithMarkup() {
        assertEquals("&lt;a href=&#39;x&#39;&gt;&amp;&quot;", Html.escape("<a href='x'>&\""));
        assertEquals("a\\u0000b", Html.escape("a\0b"));
    }
}
