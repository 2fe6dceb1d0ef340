/** The only seam between the mathematics and the hardware, and the choice of what runs. */
package io.groupreduce.backend;
