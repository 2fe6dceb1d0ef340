/** Rows sorted by group or basis: bookkeeping that all backends share. */
package io.groupreduce.internal.rows;
