package io.groupreduce.cli.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.CompressionSummary;
import io.groupreduce.api.Evaluation;
import io.groupreduce.api.Method;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.Matrix;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HtmlReportTest {
    private static final CompressionResult GROUPED = Samples.compressed(Method.GROUPREDUCE, Codec.INT4);
    private static final CompressionResult ONE_GROUP = Samples.compressed(Method.SVD, Codec.F32);
    private static final List<MethodRow> COMPARISON = List.of(
            new MethodRow("dense", 1, 1000, 12.5, 0, null),
            new MethodRow("svd", 5, 200, 12.5, 0.5, Samples.EVALUATED),
            new MethodRow("groupreduce", 5, 199, 12.5, 0.25, Samples.EVALUATED));

    private static final QueryTime QUERY = new QueryTime(0.0021, 20_000_000, 30_000_000, 1e-4, 1e10, 2e10);

    private static ReportData full() {
        return new ReportData(
                "Report",
                "in",
                "out",
                "cpu",
                1.5,
                List.of(Samples.named(Samples.TENSOR, GROUPED), Samples.named("embed.weight", ONE_GROUP)),
                Map.of(Samples.TENSOR, Samples.EVALUATED),
                true,
                Map.of(Samples.TENSOR, Samples.curves(GROUPED.summary().options())),
                Map.of(Samples.TENSOR, Samples.losses()),
                Map.of(Samples.TENSOR, QUERY),
                COMPARISON);
    }

    /** The longer of reading and multiplying is what is predicted. */
    @Test
    void aQueryIsPredictedAndMeasured() {
        assertEquals(1e-4 + 20e6 / 1e10, QUERY.predicted(), 1e-12);
        assertEquals(1e-4 + 60e6 / 2e10, new QueryTime(1, 20_000_000, 60_000_000, 1e-4, 1e10, 2e10).predicted(), 1e-12);
        String page = HtmlReport.render(full());
        assertEquals(1, occurrences(page, "takes 2.100 ms, measured; 2.100 ms are predicted: 0.100 ms for any"));
        assertTrue(page.contains("reading 20.0 MB at 10.0 GB/s and multiplying 30,000,000 numbers at 20.0 G/s"));
        assertTrue(page.contains(" of " + Figures.bytes(GROUPED.matrix().rightBytes()) + ", "));
    }

    @Test
    void textIsEscapedWhereverItStands() {
        String hostile = "<script>alert('1')</script>&\"";
        ReportData data = new ReportData(
                hostile,
                hostile,
                hostile,
                hostile,
                1,
                List.of(Samples.named(hostile, GROUPED), Samples.named("b" + hostile, ONE_GROUP)),
                Map.of(hostile, Samples.WITHOUT_TARGETS),
                true,
                Map.of(),
                Map.of(hostile, Samples.losses()),
                Map.of(),
                List.of(new MethodRow(hostile, 2, 3, 12.5, 0.5, null)));
        String page = HtmlReport.render(data);
        assertFalse(page.contains("<script"), "a script got through");
        assertFalse(page.contains("alert('1')"), "quotes got through");
        String escaped = "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&quot;";
        // title, h1, input, output, device, the remark of the KL tile, the overview's two rows, the two sections, the
        // comparison
        assertTrue(occurrences(page, escaped) >= 11, page);
    }

    @Test
    void thePageLoadsNothing() {
        String page = HtmlReport.render(full());
        assertFalse(Pattern.compile("https?:").matcher(page).find());
        assertFalse(Pattern.compile("(?i)<(script|link|img|iframe|object|embed|image|use|base)\\b")
                .matcher(page)
                .find());
        assertFalse(Pattern.compile("(?i)\\b(src|href|action|xlink:href|on[a-z]+)\\s*=")
                .matcher(page)
                .find());
        assertFalse(page.contains("@import"));
        Matcher url = Pattern.compile("url\\(([^)]*)\\)").matcher(page);
        while (url.find()) {
            assertTrue(url.group(1).startsWith("#"), url.group());
        }
        assertTrue(page.contains("default-src 'none'"));
    }

    @Test
    void everyReferenceInAChartMeetsOneDefinition() {
        assumeTrue(ChartStyle.CAN_DRAW_TEXT);
        String page = HtmlReport.render(full());
        List<String> ids = groups(page, "\\bid=\"([^\"]*)\"");
        Set<String> distinct = new HashSet<>(ids);
        assertEquals(ids.size(), distinct.size(), "an id occurs twice: " + ids);
        List<String> used = groups(page, "url\\(#([^)]*)\\)");
        assertFalse(used.isEmpty());
        assertTrue(distinct.containsAll(used), used + " but defined are " + distinct);
    }

    @Test
    void chartsAreWellFormedAndNoneIsMissing() throws Exception {
        assumeTrue(ChartStyle.CAN_DRAW_TEXT);
        List<String> charts = groups(HtmlReport.render(full()), "(?s)(<svg.*?</svg>)");
        // Grouped: losses, spectra, curves, sizes, ranks, refinement, bytes; one group: spectra, sizes,
        // ranks, bytes.
        assertEquals(7 + 4, charts.size());
        // Losses are not drawn here; of a crowd: spectra, rows by rank, bytes.
        charts.addAll(groups(HtmlReport.render(Samples.report(Samples.sharedBasis(50), null)), "(?s)(<svg.*?</svg>)"));
        assertEquals(7 + 4 + 3, charts.size());
        // Spectra, sizes and ranks or rows by rank, calibration, bytes at least.
        List<String> chosen =
                groups(HtmlReport.render(Samples.report(Samples.rateDistortion(), null)), "(?s)(<svg.*?</svg>)");
        assertTrue(chosen.size() >= 4, "charts: " + chosen.size());
        charts.addAll(chosen);
        for (String chart : charts) {
            var root = DocumentBuilderFactory.newInstance()
                    .newDocumentBuilder()
                    .parse(new ByteArrayInputStream(chart.getBytes(StandardCharsets.UTF_8)))
                    .getDocumentElement();
            assertFalse(root.getAttribute("aria-label").isEmpty());
            assertTrue(root.getElementsByTagName("path").getLength() > 3, "an empty chart: " + chart);
        }
    }

    @Test
    void everyTensorAndEveryGroupAppears() {
        String page = HtmlReport.render(full());
        for (NamedResult named : full().results()) {
            int from = page.indexOf("<h2>" + named.tensor() + "</h2>");
            assertTrue(from > 0, named.tensor());
            String section = page.substring(from, page.indexOf("</section>", from));
            int[] sizes = named.matrix().groupSizes();
            for (int g = 0; g < sizes.length; g++) {
                String cells = "<tr><td class=\"number\">" + g + "</td>\n<td class=\"number\">" + sizes[g] + "</td>";
                assertTrue(section.contains(cells), named.tensor() + " lacks group " + g);
            }
        }
    }

    @Test
    void aMatrixThatIsAllDenseHasNoSpectrumAndSaysSo() {
        // Dense INT4 rows of binary32 meet this ratio, so no factor would be smaller.
        CompressionResult dense = Samples.compressed(Method.SVD, Codec.INT4, 5);
        assertEquals(0, dense.matrix().bases());
        String page = HtmlReport.render(Samples.report(dense, null));
        assertTrue(page.contains("There is no basis with energy in it"));
        assertFalse(page.contains("NaN"));
    }

    @Test
    void manyGroupsAreFoldedAndSharedBasesAreCountedOnce() {
        String page = HtmlReport.render(Samples.report(Samples.sharedBasis(50), null));
        assertTrue(page.contains("<summary>Table of 52 groups</summary>"));
        assertEquals(49, occurrences(page, "shared with group 0"));
        assertTrue(page.contains(">dense</td>") && page.contains(">zero</td>"));
        assertTrue(page.contains("<figcaption>Rows by rank</figcaption>"));
        assertFalse(page.contains("<figcaption>Rank of each group</figcaption>"));
        String few = HtmlReport.render(Samples.report(GROUPED, null));
        assertFalse(few.contains("<summary>"));
        assertTrue(few.contains("<figcaption>Rank of each group</figcaption>"));
    }

    @Test
    void whatRateDistortionChoseAndCalibrationBroughtIsSaid() {
        CompressionResult result = Samples.rateDistortion();
        String page = HtmlReport.render(Samples.report(result, null));
        assertTrue(page.contains("alpha 0.5, with a metric, " + result.matrix().bases()), "alpha, metric and bases");
        double before = result.summary().calibration().get(0);
        assertTrue(page.contains("mean KL on held-out hidden states from " + Figures.nats(before)), "calibration");
        assertTrue(page.contains("<figcaption>Calibration</figcaption>"));
        assertFalse(page.contains("Optional"), "a value that may be missing is not shown as such");
        String aimed = HtmlReport.render(Samples.report(
                new CompressionResult(
                        result.matrix(),
                        CompressionSummary.of(
                                Matrix.of("source", new float[8], 2, 4),
                                result.matrix().bytes(),
                                result.summary().options().withMaxLossIncrease(0.01),
                                false,
                                1,
                                0.5,
                                0.5,
                                result.summary().spectra(),
                                result.summary().refinement(),
                                null)),
                null));
        assertTrue(aimed.contains("asked for a loss increase of at most 1.00 %"));
        assertFalse(aimed.contains("alibration"));
    }

    @Test
    void statesThatTheCompressionWasFittedToAreNoJudges() {
        assertTrue(HtmlReport.render(full()).contains(Html.escape(HtmlReport.FITTED)));
        assertFalse(
                HtmlReport.render(Samples.report(GROUPED, Samples.EVALUATED)).contains(Html.escape(HtmlReport.FITTED)));
    }

    @Test
    void withoutTargetsThePageSaysSo() {
        String page = HtmlReport.render(Samples.report(GROUPED, Samples.WITHOUT_TARGETS));
        assertTrue(page.contains(HtmlReport.NO_TARGETS));
        assertFalse(page.contains("NaN"));
        assertFalse(page.contains("perplexity before"));
        assertTrue(page.contains("87.50 %"), "the top-1 agreement is known all the same");
    }

    @Test
    void withoutAnEvaluationThePageSaysSo() {
        String page = HtmlReport.render(Samples.report(GROUPED, null));
        assertTrue(page.contains(HtmlReport.NOT_EVALUATED));
        assertFalse(page.contains(HtmlReport.NO_TARGETS));
        assertFalse(page.contains("NaN"));
    }

    @Test
    void headlinesAddUpOverTensors() {
        String page = HtmlReport.render(full());
        long before = GROUPED.summary().sourceBytes() + ONE_GROUP.summary().sourceBytes();
        long after = GROUPED.matrix().bytes() + ONE_GROUP.matrix().bytes();
        assertTrue(page.contains(Figures.count(before) + " bytes"));
        assertTrue(page.contains(Figures.count(after) + " bytes"));
        assertTrue(page.contains(">" + Figures.ratio((double) before / after) + "<"));
        double worst =
                Math.max(GROUPED.summary().relativeError(), ONE_GROUP.summary().relativeError());
        assertTrue(page.contains("class=\"value\">" + Figures.percent(worst) + "<"));
        assertTrue(page.contains(">20.25<") && page.contains(">21.00<") && page.contains("+3.70 %"));
    }

    @Test
    void theWorstOfSeveralSoftmaxesIsTheHeadline() {
        Evaluation worse = Samples.evaluation(100, 20, 40, 2.5, 0.5, 0.5);
        List<NamedResult> results = List.of(Samples.named("a", GROUPED), Samples.named("b", ONE_GROUP));
        String page = HtmlReport.render(Samples.report(results, Map.of("a", Samples.EVALUATED, "b", worse)));
        assertTrue(page.contains("class=\"value\">2.5000<"));
        assertFalse(page.contains("class=\"value\">0.0312<"));
    }

    @Test
    void hugePerplexitiesAreLegible() {
        List<MethodRow> rows = List.of(
                new MethodRow("svd", 5, 200, 12.5, 0.5, Samples.evaluation(10, 20, 3e9, 2, 0.1, 0.1)),
                new MethodRow(
                        "svd", 9, 100, 12.5, 0.5, Samples.evaluation(10, 20, Double.POSITIVE_INFINITY, 2, 0.1, 0.1)));
        String page = HtmlReport.render(
                new ReportData("r", "i", "o", "d", 1, List.of(), Map.of(), false, Map.of(), Map.of(), Map.of(), rows));
        assertTrue(page.contains(">3.00e+09<"));
        assertTrue(page.contains(">not finite<"));
    }

    @Test
    void theDefaultLocaleAndTheRunDoNotMatter() {
        Locale before = Locale.getDefault();
        String english = HtmlReport.render(full());
        try {
            Locale.setDefault(Locale.forLanguageTag("ar-EG-u-nu-arab"));
            assertEquals(english, HtmlReport.render(full()));
        } finally {
            Locale.setDefault(before);
        }
    }

    @Test
    void theFileIsReplacedWhole(@TempDir Path folder) throws IOException {
        Path target = folder.resolve("report.html");
        Files.writeString(target, "old");
        HtmlReport.write(target, full());
        assertEquals(HtmlReport.render(full()), Files.readString(target));
        assertEquals(List.of(target), list(folder));
    }

    @Test
    void aFailureLeavesNothingBehind(@TempDir Path folder) throws IOException {
        Path missing = folder.resolve("missing").resolve("report.html");
        FileAccessException e = assertThrows(FileAccessException.class, () -> HtmlReport.write(missing, full()));
        assertTrue(e.getMessage().contains(missing.toString()), e.getMessage());
        Path directory = Files.createDirectory(folder.resolve("directory"));
        assertThrows(FileAccessException.class, () -> HtmlReport.write(directory, full()));
        assertEquals(List.of(directory), list(folder));
    }

    private static List<Path> list(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.toList();
        }
    }

    private static List<String> groups(String text, String pattern) {
        List<String> found = new ArrayList<>();
        Matcher matcher = Pattern.compile(pattern).matcher(text);
        while (matcher.find()) {
            found.add(matcher.group(1));
        }
        return found;
    }

    private static int occurrences(String text, String part) {
        return (text.length() - text.replace(part, "").length()) / part.length();
    }
}
