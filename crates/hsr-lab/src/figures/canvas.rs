//! A sheet to draw on in pixels, made into an SVG.

use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Polygon, Rectangle};
use plotters::series::DashedLineSeries;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    Color, FontStyle, FontTransform, IntoFont, RGBColor, ShapeStyle, TextStyle, WHITE,
};

use super::error::FigureError;
use super::figure::Figure;
use super::font::{self, Weight};

/// Plotters places everything on whole units: with ten of them to a pixel, curves stay smooth.
const UNIT: f64 = 10.0;

/// Plotters' SVG backend divides font sizes by this.
const FONT_FACTOR: f64 = 1.24;

/// Where a text's position is in the text.
pub type Anchor = (HPos, VPos);

/// How a text looks.
#[derive(Clone, Copy)]
pub struct Type {
    /// The font size in pixels.
    pub size: f64,
    /// The weight.
    pub weight: Weight,
    /// The colour.
    pub color: RGBColor,
}

impl Type {
    /// Regular text.
    pub const fn regular(size: f64, color: RGBColor) -> Self {
        Self {
            size,
            weight: Weight::Regular,
            color,
        }
    }

    /// Bold text.
    pub const fn bold(size: f64, color: RGBColor) -> Self {
        Self {
            size,
            weight: Weight::Bold,
            color,
        }
    }

    /// The same as plotters has it.
    pub fn style(&self) -> TextStyle<'static> {
        let weight = match self.weight {
            Weight::Regular => FontStyle::Normal,
            Weight::Bold => FontStyle::Bold,
        };
        let face = (font::FAMILY, self.size * UNIT * FONT_FACTOR).into_font();
        let mut style = TextStyle::from(face.style(weight));
        style.color = self.color.to_backend_color();
        style
    }

    /// The width of a text of this type.
    pub fn width(&self, text: &str) -> f64 {
        font::width(text, self.size, self.weight)
    }

    /// The text, cut short to fit into `limit` pixels.
    pub fn fitted(&self, text: &str, limit: f64) -> String {
        font::fitted(text, self.size, self.weight, limit)
    }
}

/// A white sheet, its origin at the top left.
pub struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

impl<E: std::error::Error + Send + Sync> From<DrawingAreaErrorKind<E>> for FigureError {
    fn from(error: DrawingAreaErrorKind<E>) -> Self {
        Self::Draw(error.to_string())
    }
}

type Drawn = Result<(), FigureError>;

impl<'a> Canvas<'a> {
    /// A figure of a size in pixels, drawn by `paint`.
    pub fn figure(
        width: f64,
        height: f64,
        paint: impl FnOnce(&Canvas<'_>) -> Drawn,
    ) -> Result<Figure, FigureError> {
        let mut svg = String::new();
        let size = (units(width).unsigned_abs(), units(height).unsigned_abs());
        {
            let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            area.fill(&WHITE)?;
            let canvas = Canvas { area };
            paint(&canvas)?;
            canvas.area.present()?;
        }
        // Plotters writes the size in units; the picture's own size is in pixels. Noisy curves need round joins.
        let opened = format!("<svg width=\"{}\" height=\"{}\"", size.0, size.1);
        let sized = format!("<svg width=\"{width}\" height=\"{height}\" stroke-linejoin=\"round\"");
        Ok(Figure::new(font::subscripts(
            &svg.replacen(&opened, &sized, 1),
        )))
    }

    /// A filled rectangle between two corners.
    pub fn fill(&self, from: (f64, f64), to: (f64, f64), color: RGBColor, alpha: f64) -> Drawn {
        Ok(self.area.draw(&Rectangle::new(
            [corner(from), corner(to)],
            color.mix(alpha).filled(),
        ))?)
    }

    /// A line through points.
    pub fn line(
        &self,
        points: impl IntoIterator<Item = (f64, f64)>,
        color: RGBColor,
        width: f64,
    ) -> Drawn {
        let points: Vec<_> = points.into_iter().map(corner).collect();
        Ok(self
            .area
            .draw(&PathElement::new(points, stroke(color, width)))?)
    }

    /// A dashed line through points.
    pub fn dashed(
        &self,
        points: impl IntoIterator<Item = (f64, f64)>,
        color: RGBColor,
        width: f64,
    ) -> Drawn {
        let points: Vec<_> = points.into_iter().map(corner).collect();
        let dashes = DashedLineSeries::new(points, units(5.5), units(3.5), stroke(color, width));
        for dashes in dashes {
            self.area.draw(&dashes)?;
        }
        Ok(())
    }

    /// A filled disc.
    pub fn disc(&self, at: (f64, f64), radius: f64, color: RGBColor) -> Drawn {
        self.dot(at, radius, color, 1.0)
    }

    /// A translucent disc.
    pub fn dot(&self, at: (f64, f64), radius: f64, color: RGBColor, alpha: f64) -> Drawn {
        let style = color.mix(alpha).filled();
        Ok(self
            .area
            .draw(&Circle::new(corner(at), units(radius), style))?)
    }

    /// A ring on a white one, seen on whatever it lies on.
    pub fn ring(&self, at: (f64, f64), radius: f64, color: RGBColor) -> Drawn {
        for (color, width) in [(WHITE, 4.5), (color, 2.6)] {
            let circle = Circle::new(corner(at), units(radius), stroke(color, width));
            self.area.draw(&circle)?;
        }
        Ok(())
    }

    /// A polygon of an opacity.
    pub fn polygon(
        &self,
        points: impl IntoIterator<Item = (f64, f64)>,
        color: RGBColor,
        alpha: f64,
    ) -> Drawn {
        let points: Vec<_> = points.into_iter().map(corner).collect();
        Ok(self
            .area
            .draw(&Polygon::new(points, color.mix(alpha).filled()))?)
    }

    /// A rectangle of the sheet, for plotters to draw on.
    pub fn part(&self, at: (f64, f64), size: (f64, f64)) -> DrawingArea<SVGBackend<'a>, Shift> {
        self.area.clone().shrink(corner(at), corner(size))
    }

    /// A text.
    pub fn text(&self, text: &str, at: (f64, f64), anchor: Anchor, kind: Type) -> Drawn {
        let style = kind.style().pos(Pos::new(anchor.0, anchor.1));
        Ok(self
            .area
            .draw_text(&font::clean(text), &style, corner(at))?)
    }

    /// A text that runs upwards, centred on a point.
    pub fn upright(&self, text: &str, at: (f64, f64), kind: Type) -> Drawn {
        let style = kind.style().transform(FontTransform::Rotate270);
        let style = style.pos(Pos::new(HPos::Center, VPos::Center));
        Ok(self
            .area
            .draw_text(&font::clean(text), &style, corner(at))?)
    }
}

/// Pixels in the units of plotters.
pub fn units(pixels: f64) -> i32 {
    (pixels * UNIT).round() as i32
}

fn corner((x, y): (f64, f64)) -> (i32, i32) {
    (units(x), units(y))
}

/// How a line of a width in pixels is drawn.
pub fn stroke(color: RGBColor, width: f64) -> ShapeStyle {
    color.stroke_width(units(width).unsigned_abs())
}

/// A text in lines of at most `limit` pixels, broken between words; none for an empty text.
pub fn wrapped(text: &str, kind: Type, limit: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let longer = match lines.last() {
            Some(line) => format!("{line} {word}"),
            None => word.to_owned(),
        };
        match lines.last_mut() {
            Some(line) if kind.width(&longer) <= limit => *line = longer,
            _ => lines.push(kind.fitted(word, limit)),
        }
    }
    lines
}
