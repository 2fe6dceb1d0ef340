package io.groupreduce.api;

/**
 * The weighted relative error of a method against the size ratio, before refinement and rounding. All methods are measured under the same
 * frequency weights, so that their curves can be compared.
 *
 * @param method the method
 * @param ratios source bytes / compressed bytes
 * @param relativeErrors sqrt(loss / energy)
 */
public record ErrorCurve(Method method, double[] ratios, double[] relativeErrors) {}
