/** The plain backend: double loops in the order of the equations. Slow, readable, and the oracle of every test. */
package io.groupreduce.internal.reference;
