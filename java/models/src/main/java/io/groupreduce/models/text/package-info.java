/** Text and the tokens that models see of it. */
package io.groupreduce.models.text;
