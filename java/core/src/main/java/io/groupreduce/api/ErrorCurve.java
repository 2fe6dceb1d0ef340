package io.groupreduce.api;

/**
 * The count-weighted relative error of a method against the size ratio, before refinement and rounding: the figure that {@link
 * CompressionSummary#relativeError} is of what was stored.
 *
 * @param method the method
 * @param ratios source bytes / compressed bytes
 * @param relativeErrors one a ratio
 */
public record ErrorCurve(Method method, double[] ratios, double[] relativeErrors) {}
