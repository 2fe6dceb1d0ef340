package io.groupreduce.api;

import java.util.List;

/**
 * One line of {@code groupreduce devices}.
 *
 * @param device the name: {@code cpu (vector)}, {@code cuda:0}
 * @param available whether it can run here
 * @param reason what it is, or why it cannot run
 * @param memoryBytes memory of its own, or of the machine; 0 when unknown
 * @param libraries libraries it found, by file name
 */
public record DeviceStatus(String device, boolean available, String reason, long memoryBytes, List<String> libraries) {}
