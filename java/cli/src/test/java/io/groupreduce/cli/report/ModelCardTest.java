package io.groupreduce.cli.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** The card and the page of an evaluation are made of what was measured, and of nothing else. */
class ModelCardTest {
    private static final String HOSTILE = "a|b`*_<script>alert(1)</script>&amp;[x](http://y)\n# \u001b[2J\"'\\";

    private static EvaluatedModel model(String name, Optional<String> softmax, Optional<String> embedding) {
        Section section = new Section(
                "Part of " + name,
                List.of("", "Before", "After"),
                List.of(List.of(name, "1.5", "2.5"), List.of("second", "", "3.5")),
                List.of("Measured on " + name + "."));
        return new EvaluatedModel(
                "folder/" + name,
                "original/" + name,
                Optional.empty(),
                softmax,
                embedding,
                List.of(section),
                List.of("Not measured: " + name + "."));
    }

    private static EvaluatedModel based(EvaluatedModel model, String base) {
        return new EvaluatedModel(
                model.file(),
                model.reference(),
                Optional.of(base),
                model.softmax(),
                model.embedding(),
                model.sections(),
                model.limits());
    }

    @Test
    void theHeadSaysWhatHubsLookFor() {
        EvaluatedModel embedding = model("small.safetensors", Optional.empty(), Optional.of("words"));
        String card = ModelCard.render(based(embedding, "org/Model-1.0"));
        assertTrue(card.startsWith("""
                        ---
                        base_model: "org/Model-1.0"
                        base_model_relation: quantized
                        library_name: groupreduce
                        pipeline_tag: sentence-similarity
                        tags:
                        - groupreduce
                        - compressed
                        ---

                        # small.safetensors

                        Made from `org/Model-1.0` with GroupReduce"""), card);
        assertFalse(ModelCard.render(embedding).contains("base_model"), "nobody said it");
        String softmax = ModelCard.render(model("s", Optional.of("head"), Optional.empty()));
        assertFalse(softmax.contains("pipeline_tag"), softmax);
        String onnx = ModelCard.render(model("small.onnx", Optional.empty(), Optional.empty()));
        assertTrue(onnx.contains("- onnx\n---") && !onnx.contains("library_name"), onnx);
    }

    @Test
    void tablesAndNotesAreThoseOfTheSections() {
        String card = ModelCard.render(model("small", Optional.of("head"), Optional.empty()));
        assertTrue(card.contains("""
                        ## Part of small

                        |  | Before | After |
                        |---|---:|---:|
                        | small | 1.5 | 2.5 |
                        | second |  | 3.5 |

                        Measured on small.
                        """), card);
        assertTrue(card.contains("## Limits\n\n- Not measured\\: small.\n- The license is"), card);
        assertEquals(4, card.split("\n## ").length, "one section, loading, limits");
    }

    @Test
    void loadingIsThatOfWhatWasJudged() {
        String softmax = ModelCard.render(model("s.x", Optional.of("head"), Optional.empty()));
        assertTrue(
                softmax.contains("SoftmaxHead.open(Path.of(\"s.x\"), HeadOptions.defaults().withTensor(\"head\"))"),
                softmax);
        assertFalse(softmax.contains("EmbeddingTable"), softmax);
        assertTrue(softmax.contains("\ngroupreduce export s.x --to dense -o model.safetensors\n"), softmax);
        assertFalse(ModelCard.render(model("S.GGUF", Optional.of("head"), Optional.empty()))
                .contains("export"));
        String command = "\ngroupreduce export s.onnx --to onnx --model s.onnx -o small.onnx\n";
        String embedding = ModelCard.render(model("s.onnx", Optional.empty(), Optional.of("words")));
        assertTrue(embedding.contains("EmbeddingTable.open(") && !embedding.contains("SoftmaxHead"), embedding);
        assertTrue(embedding.contains(command) && !embedding.contains("dense"), embedding);
        String onnx = ModelCard.render(model("s.onnx", Optional.empty(), Optional.empty()));
        assertTrue(onnx.contains("environment.createSession(\"s.onnx\")") && !onnx.contains("export"), onnx);
    }

    @Test
    void whatFilesContainMeansNothingToMarkdown() {
        EvaluatedModel hostile = model(HOSTILE, Optional.of(HOSTILE), Optional.empty());
        String card = ModelCard.render(based(hostile, HOSTILE));
        String escaped = "a\\|b\\`\\*\\_\\<script\\>alert(1)\\</script\\>\\&amp;\\[x\\](http\\://y)";
        assertTrue(card.contains("| " + escaped), card);
        assertTrue(card.contains("## Part of " + escaped), card);
        String plain = card.substring(card.indexOf("\n---\n"))
                .replaceAll("(?s)```.*?```", "")
                .replaceAll("\\\\.", "");
        for (String mark : List.of("<", "`*", "[x]", "&amp")) {
            assertFalse(plain.contains(mark), mark + " in " + plain);
        }
        assertTrue(card.chars().noneMatch(c -> c < ' ' && c != '\n'), "no character that a terminal obeys");
        assertEquals(4, card.split("\n#+ ").length - 1, "title and three parts: no heading of its own");
        assertTrue(card.contains("base_model: \"a|b`*_<script>"), card);
        assertTrue(
                card.lines()
                                .filter(line -> line.startsWith("groupreduce export '"))
                                .count()
                        == 1,
                card);
    }

    @Test
    void thePageIsMadeOfTheSameAndEscapesIt() {
        String page = EvaluationPage.render(model(HOSTILE, Optional.empty(), Optional.empty()));
        assertTrue(page.contains("default-src 'none'"), page);
        assertFalse(page.contains("<script") || page.contains("\u001b"), page);
        assertTrue(page.contains("<h2>Part of a|b`*_&lt;script&gt;"), page);
        assertTrue(page.contains("<td class=\"number\">2.5</td>"), page);
        assertTrue(page.contains("Measured on a|b"), page);
        assertTrue(page.contains("Not measured: a|b"), page);
        assertTrue(page.endsWith("</main></body>\n</html>\n"), page);
    }
}
