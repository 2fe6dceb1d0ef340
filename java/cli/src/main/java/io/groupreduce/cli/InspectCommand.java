package io.groupreduce.cli;

import io.groupreduce.cli.report.Figures;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.Logits;
import io.groupreduce.format.Model;
import io.groupreduce.format.Tensor;
import io.groupreduce.format.VocabularyMatrix;
import io.groupreduce.matrix.CompressedMatrix;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** Shows what a file holds. */
@Command(name = "inspect", description = "Shows what a file holds, and of a model what is found to compress.")
final class InspectCommand implements Callable<Integer> {
    /** Constants of a graph have no more numbers; they are counted, and listed in JSON alone. */
    private static final int FEW = 8;

    @Mixin
    CommonOptions common;

    @Mixin
    VocabularyOptions vocabulary;

    @Parameters(
            paramLabel = "FILE",
            description =
                    "A compressed file, another .safetensors file, an .onnx, .gguf or .npy file, or a model directory.")
    Path file;

    @Override
    public Integer call() {
        if (compressed()) {
            try (CompressedFile opened = CompressedFile.open(file)) {
                show(opened);
            }
        } else {
            try (Model model = Model.open(file, vocabulary.choice())) {
                model.notes().forEach(common::tell);
                Map<String, Object> document = new LinkedHashMap<>();
                document.put("file", file.toString());
                document.put("vocabulary", vocabulary(model));
                document.put("noOutput", model.withoutOutput().orElse(null));
                document.put("tensors", plain(model.tensors(), model.isForeign() ? FEW : 0));
                common.printJson(document);
            }
        }
        return 0;
    }

    private boolean compressed() {
        try (Model opened = Model.open(file)) {
            return opened.isCompressed();
        }
    }

    private void show(CompressedFile opened) {
        List<Map<String, Object>> matrices = new ArrayList<>();
        for (CompressedMatrix matrix : opened.matrices().values()) {
            Summary.Source source = Summary.Source.of(opened.provenance(matrix.name()), matrix);
            Logits logits = opened.logits(matrix.name());
            Map<String, Object> document = Summary.document(matrix, source);
            put(logits, document);
            matrices.add(document);
            Summary.lines(matrix, source).forEach(common::print);
            if (!logits.equals(Logits.PLAIN)) {
                common.print("  logits: bias " + bias(logits) + ", scale " + scale(logits));
                refused(matrix.name(), logits);
            }
            common.print("");
        }
        opened.tied().forEach((name, stored) -> common.print(name + " is the same matrix as " + stored));
        List<Map<String, Object>> copied = plain(opened.copied(), 0);
        Map<String, Object> document = new LinkedHashMap<>();
        document.put("file", file.toString());
        document.put("compressed", matrices);
        document.put("tied", opened.tied());
        document.put("copied", copied);
        common.printJson(document);
    }

    /** What compression would take for what, and why. */
    private List<Map<String, Object>> vocabulary(Model model) {
        List<Map<String, Object>> documents = new ArrayList<>();
        List<List<String>> rows = new ArrayList<>();
        rows.add(List.of("vocabulary matrix", "type", "shape", "role", "same as", "bias", "scale", "it"));
        for (VocabularyMatrix found : model.vocabulary()) {
            Tensor tensor = found.tensor();
            Logits logits = found.taken() ? model.logits(tensor.name()) : Logits.PLAIN;
            String shape = Arrays.toString(tensor.shape());
            rows.add(List.of(
                    tensor.name(),
                    tensor.storedType(),
                    shape,
                    role(found),
                    Objects.requireNonNullElse(found.tiedTo(), "-"),
                    bias(logits),
                    scale(logits),
                    found.why()));
            Map<String, Object> document = new LinkedHashMap<>();
            document.put("name", tensor.name());
            document.put("dtype", tensor.storedType());
            document.put("shape", tensor.shape());
            document.put("role", found.role() == null ? null : word(found.role()));
            document.put("compressed", found.taken());
            document.put("servesAsOutput", found.servesAsOutput());
            document.put("sameAs", found.tiedTo());
            put(logits, document);
            document.put("why", found.why());
            documents.add(document);
        }
        if (documents.isEmpty()) {
            common.print(
                    "No embedding or output matrix has a known name; name one with --output-tensor or --input-tensor.");
        } else {
            Texts.leftTable(rows).forEach(common::print);
            model.withoutOutput().ifPresent(why -> common.print("Hidden states meet none of these: " + why + "."));
            for (VocabularyMatrix found : model.vocabulary()) {
                if (found.taken() && found.servesAsOutput()) {
                    refused(found.tensor().name(), model.logits(found.tensor().name()));
                }
            }
        }
        common.print("");
        return documents;
    }

    /** Says why hidden states are refused, where the logits are such. */
    private void refused(String name, Logits logits) {
        if (logits.obstacle() != null) {
            common.print("--hidden is refused for " + name + ": " + logits.obstacle() + ".");
        }
    }

    private static void put(Logits logits, Map<String, Object> document) {
        document.put("bias", logits.bias());
        document.put("scale", logits.scale());
        document.put("cap", logits.cap());
        document.put("unknown", logits.unknown());
    }

    private static String bias(Logits logits) {
        return Objects.requireNonNullElse(logits.bias(), "-");
    }

    private static String scale(Logits logits) {
        return logits.scale() == 1 ? "-" : Texts.format("%.4g", logits.scale());
    }

    private static String role(VocabularyMatrix found) {
        if (!found.taken()) {
            return found.role() == null ? "left out" : word(found.role()) + ", left out";
        }
        boolean both = found.role() == Model.Role.EMBEDDING && found.servesAsOutput();
        return both ? "embedding and output" : word(found.role());
    }

    private static String word(Model.Role role) {
        return role.name().toLowerCase(Locale.ROOT);
    }

    /** @param left tensors of at most so many numbers are counted in the text and not listed; 0 lists all */
    private List<Map<String, Object>> plain(Map<String, Tensor> tensors, int left) {
        List<Map<String, Object>> documents = new ArrayList<>();
        List<List<String>> rows = new ArrayList<>();
        rows.add(List.of("tensor", "type", "shape", "bytes"));
        for (Tensor tensor : tensors.values()) {
            if (tensor.elements() > left || left == 0) {
                rows.add(List.of(
                        tensor.name(),
                        tensor.storedType(),
                        Arrays.toString(tensor.shape()),
                        Figures.bytes(tensor.storedBytes())));
            }
            Map<String, Object> document = new LinkedHashMap<>();
            document.put("name", tensor.name());
            document.put("dtype", tensor.storedType());
            document.put("shape", tensor.shape());
            document.put("bytes", tensor.storedBytes());
            documents.add(document);
        }
        if (rows.size() > 1) {
            Texts.table(rows).forEach(common::print);
        }
        int few = documents.size() + 1 - rows.size();
        if (few > 0) {
            common.print(few + (few > 1 ? " tensors" : " tensor") + " of at most " + left + " numbers");
        }
        return documents;
    }
}
