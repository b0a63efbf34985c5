//! The picture of a message: an agent's offset with its bound, over the band of its tolerance.
//!
//! Without words: those stand beside it, in the reader's language and at the reader's size.

use angbu_store::time::GraphPoint;
use angbu_time::notice::Picture;
use angbu_units::{Nanos, UnixTime};
use tiny_skia::{Color, Paint, PathBuilder, Pixmap, Rect, Stroke, Transform};

/// Into how many steps the time is parted.
pub(super) const POINTS: u64 = 300;
/// In pixels: twice what it is shown at, for sharp screens.
const WIDTH: u16 = 1_200;
const HEIGHT: u16 = 360;
/// What stays free at its edges, so that a mark there is seen whole.
const MARGIN: f32 = 8.0;
/// How many times the tolerance the picture reaches at most: beyond, the tolerance would become a line.
const MOST: i64 = 6;

/// The offset at the picture's upper edge.
pub(super) fn scale(points: &[GraphPoint], tolerance: Nanos) -> Nanos {
    let reach = points.iter().map(|point| point.offset_max.abs().max(point.offset_min.abs()) + point.bound);
    let reach = reach.max().unwrap_or_default();
    let reach = reach + Nanos::new(reach.count() / 8);
    let (least, most) = (tolerance + Nanos::new(tolerance.count() / 4), tolerance.times(MOST));
    if tolerance > Nanos::ZERO { reach.max(least).min(most) } else { reach.max(Nanos::new(1)) }
}

/// The picture as PNG; nothing where there is nothing to draw.
pub(super) fn draw(picture: &Picture, points: &[GraphPoint]) -> Option<Vec<u8>> {
    if points.is_empty() {
        return None;
    }
    let mut canvas = Canvas { pixels: Pixmap::new(u32::from(WIDTH), u32::from(HEIGHT))?, picture };
    canvas.pixels.fill(Color::from_rgba8(0xfb, 0xfc, 0xfd, 0xff));
    canvas.band();
    for point in points {
        canvas.bound(point);
    }
    canvas.line(points);
    canvas.pixels.encode_png().ok()
}

struct Canvas<'a> {
    pixels: Pixmap,
    picture: &'a Picture,
}

impl Canvas<'_> {
    fn across(&self, at: UnixTime) -> f32 {
        let Picture { from, to, .. } = self.picture;
        MARGIN + ratio(at - *from, *to - *from).clamp(0.0, 1.0) * (f32::from(WIDTH) - 2.0 * MARGIN)
    }

    fn down(&self, offset: Nanos) -> f32 {
        let half = f32::from(HEIGHT) / 2.0;
        (half - ratio(offset, self.picture.scale) * half).clamp(MARGIN, f32::from(HEIGHT) - MARGIN)
    }

    fn band(&mut self) {
        let tolerance = self.picture.tolerance;
        let (top, bottom) = (self.down(tolerance), self.down(-tolerance));
        if tolerance > Nanos::ZERO {
            self.fill(0.0, top, f32::from(WIDTH), bottom, Color::from_rgba8(0xdf, 0xf0, 0xe3, 0xff));
        }
        let green = Color::from_rgba8(0x3f, 0x8f, 0x58, 0xff);
        let grey = Color::from_rgba8(0xb4, 0xba, 0xc4, 0xff);
        for (height, colour) in [(top, green), (bottom, green), (self.down(Nanos::ZERO), grey)] {
            self.fill(0.0, height - 1.0, f32::from(WIDTH), height + 1.0, colour);
        }
    }

    fn bound(&mut self, point: &GraphPoint) {
        let (left, right) = (self.across(point.first_at), self.across(point.last_at));
        let (top, bottom) =
            (self.down(point.offset_max + point.bound), self.down(point.offset_min - point.bound));
        let width = (right - left).max(4.0);
        self.fill(left, top, left + width, bottom.max(top + 2.0), Color::from_rgba8(0x0b, 0x57, 0xb0, 0x40));
    }

    /// The offset; what lies beyond the tolerance is red.
    fn line(&mut self, points: &[GraphPoint]) {
        for point in points {
            let is_outside = point.offset_max.abs().max(point.offset_min.abs()) > self.picture.tolerance;
            let colour = if is_outside {
                Color::from_rgba8(0xb8, 0x1f, 0x24, 0xff)
            } else {
                Color::from_rgba8(0x0b, 0x57, 0xb0, 0xff)
            };
            let mut path = PathBuilder::new();
            let middle = (self.across(point.first_at) + self.across(point.last_at)) / 2.0;
            path.move_to(middle, self.down(point.offset_max));
            // A dot where highest and lowest are the same.
            path.line_to(middle, self.down(point.offset_min) + 0.1);
            let Some(path) = path.finish() else { continue };
            let stroke = Stroke { width: 7.0, line_cap: tiny_skia::LineCap::Round, ..Stroke::default() };
            self.pixels.stroke_path(&path, &paint(colour), &stroke, Transform::identity(), None);
        }
    }

    fn fill(&mut self, left: f32, top: f32, right: f32, bottom: f32, colour: Color) {
        if let Some(rect) = Rect::from_ltrb(left, top, right, bottom) {
            self.pixels.fill_rect(rect, &paint(colour), Transform::identity(), None);
        }
    }
}

fn paint(colour: Color) -> Paint<'static> {
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color(colour);
    paint
}

/// One length of time in another, as near as a pixel needs it.
#[allow(clippy::cast_possible_truncation, reason = "a place in a picture is exact enough in 32 bits")]
fn ratio(part: Nanos, whole: Nanos) -> f32 {
    let whole = whole.as_secs_f64();
    if whole > 0.0 { (part.as_secs_f64() / whole).clamp(-1e6, 1e6) as f32 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: UnixTime = UnixTime::from_nanos(1_800_000_000_000_000_000);

    fn point(second: i64, offset_ms: i64) -> GraphPoint {
        let at = T0 + Nanos::from_secs(second);
        let offset = Nanos::from_millis(offset_ms);
        GraphPoint {
            first_at: at,
            last_at: at,
            offset_min: offset,
            offset_max: offset,
            delay: Nanos::from_millis(1),
            bound: Nanos::from_millis(2),
            count: 1,
        }
    }

    fn picture(points: &[GraphPoint], tolerance: Nanos) -> Picture {
        let scale = scale(points, tolerance);
        Picture { server: "db-3".to_owned(), tolerance, scale, from: T0, to: T0 + Nanos::from_secs(100) }
    }

    #[test]
    fn what_is_outside_is_red_and_what_is_within_lies_in_the_band() {
        let tolerance = Nanos::from_millis(50);
        let points = [point(25, 10), point(75, 80)];
        let drawn = draw(&picture(&points, tolerance), &points).unwrap();
        let pixels = Pixmap::decode_png(&drawn).unwrap();
        let colour = |x, y| {
            let pixel = pixels.pixel(x, y).unwrap();
            (pixel.red(), pixel.green(), pixel.blue())
        };
        // Scale: 92.25 ms above the middle.
        assert_eq!(colour(304, 160), (0x0b, 0x57, 0xb0));
        assert_eq!(colour(896, 24), (0xb8, 0x1f, 0x24));
        assert_eq!(colour(600, 120), (0xdf, 0xf0, 0xe3));
        assert_eq!(colour(600, 20), (0xfb, 0xfc, 0xfd));
        assert!(drawn.len() < 60_000);
    }

    #[test]
    fn whatever_is_measured_can_be_drawn() {
        for offset in [i64::MIN / 1_000_000, -1, 0, 1, i64::MAX / 1_000_000] {
            for tolerance in [0, 1, i64::MAX / 8] {
                let points = [point(0, offset), point(1_000, offset)];
                let picture = picture(&points, Nanos::new(tolerance));
                assert!(draw(&picture, &points).is_some(), "{offset} {tolerance}");
            }
        }
        assert_eq!(draw(&picture(&[], Nanos::ZERO), &[]), None);
    }
}
