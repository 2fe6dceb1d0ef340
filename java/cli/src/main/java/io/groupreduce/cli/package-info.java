/** The command line: arguments, progress, tables, exit codes. */
package io.groupreduce.cli;
