package io.groupreduce.cli.report;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.geom.Path2D;
import org.knowm.xchart.style.markers.Marker;

/** A diamond larger than the points of the curves under it, with a white rim. */
final class OwnPoint extends Marker {
    private static final double RADIUS = 7;

    @Override
    public void paint(Graphics2D graphics, double x, double y, int markerSize) {
        Path2D diamond = new Path2D.Double();
        diamond.moveTo(x, y - RADIUS);
        diamond.lineTo(x + RADIUS, y);
        diamond.lineTo(x, y + RADIUS);
        diamond.lineTo(x - RADIUS, y);
        diamond.closePath();
        Color color = graphics.getColor();
        graphics.fill(diamond);
        graphics.setStroke(new BasicStroke(1.2f));
        graphics.setColor(Color.WHITE);
        graphics.draw(diamond);
        graphics.setColor(color);
    }
}
