/** The NVIDIA driver as the GPU backend uses it: libraries, device, memory, streams, events and kernel launches; every status is checked. */
package io.groupreduce.cuda.driver;
