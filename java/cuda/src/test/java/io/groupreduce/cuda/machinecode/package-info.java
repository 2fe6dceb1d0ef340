/**
 * What the compiler made of the kernels, without a card: {@code Cubin} reads the machine code of a file, {@code MachineCode} is that of a
 * kernel, {@code StripCost} counts what a strip of a softmax costs, and {@code native/budgets.txt} says what may not be exceeded.
 */
package io.groupreduce.cuda.machinecode;
