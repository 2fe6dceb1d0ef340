package io.groupreduce.benchmarks.gpu;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.groupreduce.error.DeviceException;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** PyTorch in a process of its own, {@code gpu_torch.py}, that answers one request a line; it keeps the card busy only when asked. */
final class TorchPeer implements AutoCloseable {
    private static final ObjectMapper JSON = new ObjectMapper();

    private final Process process;
    private final PrintStream requests;
    private final BufferedReader answers;
    private final String description;

    /**
     * Starts it.
     *
     * @throws DeviceException if it does not answer
     */
    TorchPeer(String python, String script) {
        try {
            process = new ProcessBuilder(List.of(python, script))
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
        } catch (IOException e) {
            throw new DeviceException(
                    "PyTorch could not be started as " + python + " " + script + ": " + e.getMessage());
        }
        requests = new PrintStream(process.getOutputStream(), true, StandardCharsets.UTF_8);
        answers = process.inputReader(StandardCharsets.UTF_8);
        JsonNode hello = ask(request("hello"));
        if (hello.has("error")) {
            close();
            throw new DeviceException(
                    "PyTorch is left out: " + hello.get("error").asText());
        }
        description = "PyTorch " + hello.get("torch").asText();
    }

    /** Name and version. */
    String description() {
        return description;
    }

    /** A request to be filled with what its operation needs. */
    static ObjectNode request(String operation) {
        return JSON.createObjectNode().put("op", operation);
    }

    /** The times that an operation took on the card in milliseconds, or {@code null} where it found too little memory. */
    Times times(ObjectNode request) {
        JsonNode answer = ask(request);
        if (answer.has("error")) {
            return null;
        }
        JsonNode list = answer.get("milliseconds");
        double[] milliseconds = new double[list.size()];
        for (int i = 0; i < milliseconds.length; i++) {
            milliseconds[i] = list.get(i).asDouble();
        }
        return new Times(milliseconds);
    }

    private JsonNode ask(ObjectNode request) {
        requests.println(request);
        try {
            String line = answers.readLine();
            if (line == null) {
                throw new DeviceException("PyTorch ended at the request " + request + "; what it said is above.");
            }
            return JSON.readTree(line);
        } catch (IOException e) {
            throw new DeviceException("PyTorch did not answer the request " + request + ": " + e.getMessage());
        }
    }

    @Override
    public void close() {
        requests.close();
        process.destroy();
    }
}
