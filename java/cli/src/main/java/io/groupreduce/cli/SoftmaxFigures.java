package io.groupreduce.cli;

import io.groupreduce.cli.report.Figures;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What {@link SoftmaxBench} measured, for people and as a document. */
final class SoftmaxFigures {
    private final double readBandwidthGBs;
    private final List<SoftmaxCase> cases;

    /**
     * Figures of cases that were counted at least once.
     *
     * @param readBandwidthGBs 10^9 bytes a second
     */
    SoftmaxFigures(double readBandwidthGBs, List<SoftmaxCase> cases) {
        this.readBandwidthGBs = readBandwidthGBs;
        this.cases = cases.stream()
                .sorted(Comparator.comparingInt((SoftmaxCase each) -> each.batch)
                        .thenComparing(each -> each.query))
                .toList();
    }

    double readBandwidthGBs() {
        return readBandwidthGBs;
    }

    /** The rows that the dense matrix was measured on. */
    int denseRowsMeasured() {
        return cases.stream()
                .filter(each -> each.contestant.codec().equals(SoftmaxBench.DENSE))
                .findFirst()
                .orElseThrow()
                .contestant
                .rows();
    }

    private double share(SoftmaxCase each) {
        return each.contestant.bytesRead() / each.latency() / (readBandwidthGBs * 1e9);
    }

    /** How often the dense matrix's time for the same query this one's is. */
    private double speedup(SoftmaxCase each) {
        SoftmaxCase dense = cases.stream()
                .filter(other -> other.contestant.codec().equals(SoftmaxBench.DENSE))
                .filter(other -> other.batch == each.batch && other.query.equals(each.query))
                .findFirst()
                .orElseThrow();
        return dense.latency() / each.latency();
    }

    /**
     * A table, a line for each contestant that was measured on some of its rows, and one if there was no time for large batches.
     *
     * @param rows N
     */
    List<String> lines(int rows) {
        List<List<String>> table = new ArrayList<>();
        table.add(List.of(
                "codec",
                "batch",
                "query",
                "latency (us)",
                "spread (us)",
                "read",
                "of bandwidth",
                "tokens/s",
                "against dense"));
        for (SoftmaxCase each : cases) {
            table.add(List.of(
                    each.contestant.codec(),
                    Integer.toString(each.batch),
                    each.query,
                    Texts.format("%.1f", each.latency() * 1e6),
                    Texts.format("%.1f", each.spread() * 1e6),
                    Figures.bytes(each.contestant.bytesRead()),
                    Texts.format("%.2f", share(each)),
                    Texts.format("%.0f", each.batch / each.latency()),
                    Texts.format("%.2f x", speedup(each))));
        }
        List<String> lines = new ArrayList<>(Texts.table(table));
        cases.stream()
                .map(each -> each.contestant)
                .filter(contestant -> contestant.rows() < rows)
                .distinct()
                .map(contestant -> Texts.format(
                        "%s was measured on the first %d rows and scaled up to %d.",
                        contestant.codec(), contestant.rows(), rows))
                .forEach(lines::add);
        if (cases.stream().anyMatch(each -> share(each) > 1)) {
            lines.add(
                    "More than 1 of bandwidth: what is read stays in the processor's caches, or rows could be left out.");
        }
        int largest = cases.get(cases.size() - 1).batch;
        if (largest < SoftmaxBench.LARGEST_BATCH) {
            lines.add("There was no time for batches above " + largest + ".");
        }
        return lines;
    }

    /** Of one query an entry per codec and batch. */
    List<Map<String, Object>> documents(String query) {
        List<Map<String, Object>> documents = new ArrayList<>();
        for (SoftmaxCase each :
                cases.stream().filter(each -> each.query.equals(query)).toList()) {
            Map<String, Object> document = new LinkedHashMap<>();
            document.put("codec", each.contestant.codec());
            document.put("batch", each.batch);
            document.put("query", each.query);
            document.put("latencyMicros", each.latency() * 1e6);
            document.put("spreadMicros", each.spread() * 1e6);
            document.put("bytesRead", each.contestant.bytesRead());
            document.put("bandwidthShare", share(each));
            document.put("tokensPerSecond", each.batch / each.latency());
            document.put("speedupOverDenseF32", speedup(each));
            document.put("rowsMeasured", each.contestant.rows());
            documents.add(document);
        }
        return documents;
    }
}
