//! A finished figure: its SVG text, drawn by plotters, and the PNG rendered from it.

use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::style::{Color, RGBColor, ShapeStyle, WHITE};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::Tree;

use super::error::{FigureError, LARGEST_SIDE};
use super::font::{self, UNIT};

/// Pixels in the units of plotters.
pub fn px(pixels: f64) -> i32 {
    (pixels * UNIT).round() as i32
}

/// How a line of a width in pixels is drawn.
pub fn stroke(color: RGBColor, width: f64) -> ShapeStyle {
    color.stroke_width(px(width).unsigned_abs())
}

/// A sheet or a part of one, in units from its upper left corner.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

impl<E: std::error::Error + Send + Sync> From<DrawingAreaErrorKind<E>> for FigureError {
    fn from(error: DrawingAreaErrorKind<E>) -> Self {
        Self::Draw(error.to_string())
    }
}

/// A figure as SVG text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    svg: String,
}

impl Figure {
    /// A figure of a size in pixels, drawn by `paint`.
    pub(super) fn draw(
        width: f64,
        height: f64,
        paint: impl FnOnce(&Area<'_>) -> Result<(), FigureError>,
    ) -> Result<Self, FigureError> {
        let (width, height) = (width.ceil(), height.ceil());
        let mut svg = String::new();
        let size = (px(width).unsigned_abs(), px(height).unsigned_abs());
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE)?;
        paint(&area)?;
        area.present()?;
        drop(area);
        // Plotters writes the size in units; the picture's own size is in pixels. Noisy curves need round joins.
        let opened = format!("<svg width=\"{}\" height=\"{}\"", size.0, size.1);
        let sized = format!("<svg width=\"{width}\" height=\"{height}\" stroke-linejoin=\"round\"");
        let svg = font::subscripts(&svg.replacen(&opened, &sized, 1));
        Ok(Self { svg })
    }

    /// The SVG, complete as a file. Its texts name the typeface Inter first and any sans-serif after it.
    pub fn svg(&self) -> &str {
        &self.svg
    }

    /// A figure that was written before.
    pub(crate) fn from_svg(svg: String) -> Self {
        Self { svg }
    }

    /// The width in pixels of the figure's own size, with which the SVG begins.
    pub fn width(&self) -> f64 {
        let width = self.svg.split('"').nth(1).map(str::parse);
        width.and_then(Result::ok).unwrap_or(1.0)
    }

    /// The figure as a PNG file, `scale` pixels for each unit of the SVG: 1 gives the figure's own size (about 900 pixels
    /// wide), 2 suits dense screens.
    ///
    /// # Errors
    /// [`FigureError::Scale`] where the scale is not a positive number or the picture would be too large.
    pub fn png(&self, scale: f32) -> Result<Vec<u8>, FigureError> {
        let tree = Tree::from_str(&self.svg, &font::options())
            .map_err(|e| FigureError::Render(e.to_string()))?;
        let size = tree.size();
        let [width, height] = [size.width(), size.height()].map(|side| (side * scale).round());
        // A NaN is in no range.
        let in_range = |side: f32| (1.0..=LARGEST_SIDE as f32).contains(&side);
        let fits = in_range(width) && in_range(height);
        let pixmap = fits.then(|| Pixmap::new(width as u32, height as u32));
        let mut pixmap = pixmap.flatten().ok_or(FigureError::Scale(scale))?;
        let transform = Transform::from_scale(scale, scale);
        resvg::render(&tree, transform, &mut pixmap.as_mut());
        let png = pixmap.encode_png();
        png.map_err(|e| FigureError::Render(e.to_string()))
    }
}
