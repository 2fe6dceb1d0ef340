package io.groupreduce.cli.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionSummary;
import io.groupreduce.api.ErrorCurve;
import io.groupreduce.api.Method;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.Spectrum;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Every chart is finished whatever the numbers are, and says what it does not show. */
class ChartsTest {
    @BeforeEach
    void needsFonts() {
        assumeTrue(ChartStyle.CAN_DRAW_TEXT, "Java cannot draw text here");
    }

    @ParameterizedTest
    @ValueSource(doubles = {1e11, 1e22, 1e100, 1e308, 0, 1e-30, 4.9e-324, Double.POSITIVE_INFINITY, Double.NaN})
    void numbersThatNoAxisShows(double odd) {
        boolean said = !(odd < 1e12);
        double[] ratios = {2, 4, 9};
        double[] ends = {odd, 1, odd};
        CompressionSummary summary = CompressionSummary.of(
                        Matrix.of("source", new float[8], 4, 2),
                        10,
                        CompressionOptions.paper(),
                        false,
                        1,
                        1,
                        odd,
                        List.of(new Spectrum(odd, new double[] {odd, odd / 2, odd * 1e-13, odd * 1e-200})),
                        List.of(1.0, odd, odd),
                        null)
                .calibrated(10, 1, odd, List.of(odd, 2.0, odd));
        assertTimeoutPreemptively(Duration.ofSeconds(20), () -> {
            drawn(Charts.calibration("a", summary), said);
            drawn(Charts.refinement("b", summary), said || odd > 1e10);
            drawn(
                    Charts.errorCurves("c", summary, List.of(new ErrorCurve(Method.SVD, ratios, ends))),
                    said || odd > 1e10);
            LossFigure.Curve curve = new LossFigure.Curve(Method.SVD, ratios, ends);
            drawn(Charts.losses("d", new LossFigure(List.of(curve), 5, odd)), Double.isNaN(odd));
            Drawing spectra = Charts.spectra("e", summary);
            assertFalse(spectra.svg().isEmpty() && spectra.remark().isEmpty());
        });
    }

    private static void drawn(Drawing drawing, boolean said) {
        assertFalse(drawing.svg().isEmpty());
        assertEquals(said, drawing.remark().contains("left out"), drawing.remark());
    }
}
