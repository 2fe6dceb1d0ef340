/** The only seam between the mathematics and the hardware: interfaces and records. */
package io.groupreduce.spi;
