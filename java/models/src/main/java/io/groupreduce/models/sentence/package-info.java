/** What a compression costs models that make vectors of sentences. */
package io.groupreduce.models.sentence;
