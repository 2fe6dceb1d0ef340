/** The self-contained HTML report of a compression. */
package io.groupreduce.cli.report;
