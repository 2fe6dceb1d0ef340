/** What the API and the backends both speak of: dense and compressed matrices and how their numbers are stored. */
package io.groupreduce.matrix;
