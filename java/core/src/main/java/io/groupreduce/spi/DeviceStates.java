package io.groupreduce.spi;

import io.groupreduce.matrix.DType;

/**
 * Hidden states in the memory of a device.
 *
 * @param address of the first number, a multiple of its size
 * @param type F32, F16 or BF16
 * @param stride from the first number of one state to that of the next, in numbers, at least D
 * @param states B
 * @param stream the caller's queue on the device: what it holds so far comes before the states are read, what it gets later after the answers
 */
public record DeviceStates(long address, DType type, long stride, int states, long stream) {}
