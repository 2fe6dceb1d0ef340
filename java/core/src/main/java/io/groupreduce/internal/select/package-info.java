/** The order of tokens: ranking, drawing and its noise, shared by all backends. */
package io.groupreduce.internal.select;
