package io.groupreduce.cli.report;

import io.groupreduce.error.OneLine;
import io.groupreduce.format.AtomicFile;
import io.groupreduce.format.CompressedEntry;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;

/** Writes what an evaluation found as the {@code README.md} of a model hub: Markdown under a head of YAML. */
public final class ModelCard {
    /** Text that is the same inside a code span as outside. */
    private static final Pattern PLAIN_NAME = Pattern.compile("[\\w./+ :,=@-]+");

    /** What may mean something to Markdown. */
    private static final Pattern MARKS = Pattern.compile("[\\\\`*_{}\\[\\]<>#|!&~$:@\"]");

    private final EvaluatedModel model;
    private final StringBuilder out = new StringBuilder();

    private ModelCard(EvaluatedModel model) {
        this.model = model;
    }

    /**
     * Writes the card; {@code target} holds the old file or the whole new one, never a part.
     *
     * @throws io.groupreduce.error.FileAccessException if the file cannot be written
     */
    public static void write(Path target, EvaluatedModel model) {
        AtomicFile.writeText(target, render(model));
    }

    static String render(EvaluatedModel model) {
        ModelCard card = new ModelCard(model);
        card.head();
        card.line("# " + text(model.fileName())).line("");
        card.line("Made from " + name(model.baseModel().orElse(EvaluatedModel.lastOf(model.reference())))
                        + " with GroupReduce, which stores the matrices of a model's vocabulary in a small form. What follows was"
                        + " measured by its version " + text(CompressedEntry.softwareVersion())
                        + " on the files named.")
                .line("");
        model.sections().forEach(card::section);
        card.loading();
        card.line("## Limits").line("");
        model.limits().forEach(limit -> card.line("- " + text(limit)));
        card.line("- The license is that of the original model: add it to the head of this page, as `license:`.");
        return card.out.toString();
    }

    private ModelCard line(String line) {
        out.append(line).append('\n');
        return this;
    }

    private boolean isWholeModel() {
        return model.softmax().isEmpty() && model.embedding().isEmpty();
    }

    private void head() {
        line("---");
        model.baseModel().ifPresent(base -> line("base_model: " + quoted(base)).line("base_model_relation: quantized"));
        if (!isWholeModel()) {
            line("library_name: groupreduce");
        }
        if (model.softmax().isEmpty()) {
            line("pipeline_tag: sentence-similarity");
        }
        line("tags:").line("- groupreduce").line("- compressed");
        if (isWholeModel()) {
            line("- onnx");
        }
        line("---").line("");
    }

    private void section(Section section) {
        line("## " + text(section.title())).line("");
        row(section.columns().stream().map(ModelCard::text).toList());
        line("|---" + String.join("", Collections.nCopies(section.columns().size() - 1, "|---:")) + "|");
        section.rows().forEach(row -> row(row.stream().map(ModelCard::text).toList()));
        line("");
        section.notes().forEach(note -> line(text(note)).line(""));
    }

    private void row(List<String> cells) {
        line("| " + String.join(" | ", cells) + " |");
    }

    private void loading() {
        line("## How to load it").line("");
        String file = "Path.of(" + quoted(model.fileName()) + ")";
        if (isWholeModel()) {
            line("With ONNX Runtime, as the original:").line("").line("```java");
            line("OrtEnvironment environment = OrtEnvironment.getEnvironment();");
            line("try (OrtSession session = environment.createSession(" + quoted(model.fileName()) + ")) {");
            line("    // session.run(...)").line("}").line("```").line("");
            return;
        }
        line(
                "In Java, with `io.groupreduce:groupreduce-core` and `io.groupreduce:groupreduce-vector`, straight from the small form:");
        line("").line("```java");
        model.softmax().ifPresent(tensor -> {
            line("try (SoftmaxHead head = SoftmaxHead.open(" + file + ", " + options(tensor) + ")) {");
            line("    int[] next = head.greedy(States.of(hidden));").line("}");
        });
        model.embedding().ifPresent(tensor -> {
            line("try (EmbeddingTable table = EmbeddingTable.open(" + file + ", " + options(tensor) + ")) {");
            line("    float[] rows = table.rows(tokens);").line("}");
        });
        line("```").line("");
        String reference = model.reference().toLowerCase(Locale.ROOT);
        if (reference.endsWith(".gguf")) {
            // Made dense again, its matrices would be no model: the rest stays in the original.
            return;
        }
        boolean onnx = reference.endsWith(".onnx");
        line(
                onnx
                        ? "In ONNX Runtime, at about its size:"
                        : "As an ordinary safetensors file, in the size of the original:");
        line("").line("```");
        line("groupreduce export " + argument(model.fileName())
                + (onnx
                        ? " --to onnx --model " + argument(EvaluatedModel.lastOf(model.reference())) + " -o small.onnx"
                        : " --to dense -o model.safetensors"));
        line("```").line("");
    }

    private static String options(String tensor) {
        return "HeadOptions.defaults().withTensor(" + quoted(tensor) + ")";
    }

    /** A word of a command. */
    private static String argument(String word) {
        return word.matches("[\\w./+-]+") ? word : "'" + OneLine.of(word).replace("'", "'\\''") + "'";
    }

    /** A string of Java, and of YAML. */
    private static String quoted(String text) {
        return '"' + OneLine.of(text).replace("\\", "\\\\").replace("\"", "\\\"") + '"';
    }

    /** The name of a file or a model. */
    private static String name(String name) {
        return PLAIN_NAME.matcher(name).matches() ? "`" + name + "`" : text(name);
    }

    /** Nothing in it means anything to Markdown, HTML, or a table. */
    static String text(String text) {
        return MARKS.matcher(OneLine.of(text)).replaceAll("\\\\$0");
    }
}
