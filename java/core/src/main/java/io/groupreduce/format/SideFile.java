package io.groupreduce.format;

import com.fasterxml.jackson.databind.JsonNode;
import io.groupreduce.error.GroupReduceException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Pattern;

/** Files that lie with models and are none, told by their names. */
enum SideFile {
    /** The weights that PEFT, diffusers or MLX train beside those of a model. */
    ADAPTER("(adapter_.*|(\\d+_)?adapters?|pytorch_lora_weights)"),
    /** What a training needs to go on. */
    TRAINING(
            "(optimizer|optim_states?|scheduler|scaler|training_(state|args)|trainer_state|random_states?|rng_state)([-_.\\d].*)?");

    /** Those of them that are models by themselves, one in a file. */
    private static final List<String> MODELS = List.of(".gguf", ".onnx");

    private static final String ADAPTER_CONFIG = "adapter_config.json";
    /** Forms that models also come in, those a user is likeliest to want first. */
    private static final List<String> FOREIGN = List.of(
            ".npy",
            ".npz",
            ".gguf",
            ".onnx",
            ".ort",
            ".bin",
            ".pt",
            ".pth",
            ".ckpt",
            ".h5",
            ".msgpack",
            ".tflite",
            ".zip",
            ".tar",
            ".tgz",
            ".gz");

    private final Pattern stem;

    SideFile(String stem) {
        this.stem = Pattern.compile(stem + "\\.\\w+", Pattern.CASE_INSENSITIVE);
    }

    /** What a file of this name is beside a model; {@code null} for one that may be a model. */
    static SideFile of(String name) {
        for (SideFile side : values()) {
            if (side.stem.matcher(name).matches()) {
                return side;
            }
        }
        return null;
    }

    /** What it is and what to do, to follow its name. */
    String explain(Path file) {
        if (this == TRAINING) {
            return "is the state of a training, not a model; name the model's file";
        }
        return adapter(file.toAbsolutePath().getParent());
    }

    private static String adapter(Path directory) {
        String base = "";
        try {
            JsonNode name = ModelConfig.read(directory.resolve(ADAPTER_CONFIG)).value("base_model_name_or_path");
            base = name.isTextual() ? " of " + Wording.quoted(name.textValue()) : "";
        } catch (GroupReduceException e) {
            base = ""; // The name is a help and no more.
        }
        return "is an adapter" + base
                + ", not a model by itself; merge it into the model first, in Python: "
                + "peft.AutoPeftModelForCausalLM.from_pretrained(DIRECTORY).merge_and_unload().save_pretrained(MERGED)";
    }

    /** What a directory without a safetensors file holds instead, to follow its name. */
    static Optional<String> instead(Path directory, List<String> names) {
        if (names.contains(ADAPTER_CONFIG)) {
            return Optional.of(adapter(directory));
        }
        for (String suffix : FOREIGN) {
            List<String> found = names.stream()
                    .filter(name -> name.toLowerCase(Locale.ROOT).endsWith(suffix) && of(name) == null)
                    .toList();
            if (!found.isEmpty()) {
                return Optional.of("holds no .safetensors file but "
                        + (MODELS.contains(suffix)
                                ? Wording.some(found) + "; name the file to read"
                                : Wording.quoted(found.get(0)) + kind(directory.resolve(found.get(0)))));
            }
        }
        return Optional.empty();
    }

    private static String kind(Path file) {
        if (!Files.isRegularFile(file)) {
            return ", which is no file; download it again";
        }
        try (Arena arena = Arena.ofConfined()) {
            return FileKind.of(file, InputFile.map(file, arena))
                    .map(what -> ", which " + what)
                    .orElse("; start from the safetensors form of the model");
        }
    }
}
