//! A finished figure: its SVG text, and the PNG rendered from it.

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::Tree;

use super::error::FigureError;
use super::font;

/// The largest width or height of a PNG, in pixels.
const LARGEST_SIDE: u32 = 16_384;

/// A figure as SVG text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    svg: String,
}

impl Figure {
    pub(super) fn new(svg: String) -> Self {
        Self { svg }
    }

    /// The SVG, complete as a file. Its texts name the typeface Inter first and any sans-serif after it.
    pub fn svg(&self) -> &str {
        &self.svg
    }

    /// A figure that was written before.
    pub(crate) fn from_svg(svg: String) -> Self {
        Self { svg }
    }

    /// Figures below each other as one, as wide as the widest.
    pub(crate) fn stacked(figures: &[Figure]) -> Self {
        let sizes: Vec<(f64, f64)> = figures.iter().map(Figure::size).collect();
        let width = sizes.iter().map(|size| size.0).fold(0.0, f64::max);
        let height: f64 = sizes.iter().map(|size| size.1).sum();
        let mut top = 0.0;
        let mut places = Vec::new();
        for size in sizes {
            places.push((0.0, top, size.0, size.1));
            top += size.1;
        }
        Self::composed(figures, &places, (width, height))
    }

    /// Figures beside each other as one that is `width` wide, each scaled to the same width.
    pub(crate) fn beside(figures: &[Figure], width: f64) -> Self {
        let each = width / figures.len().max(1) as f64;
        let mut tallest = 0.0_f64;
        let mut places = Vec::new();
        for (i, figure) in figures.iter().enumerate() {
            let (own_width, own_height) = figure.size();
            let height = own_height * each / own_width;
            tallest = tallest.max(height);
            places.push((each * i as f64, 0.0, each, height));
        }
        Self::composed(figures, &places, (width, tallest))
    }

    /// An SVG can hold others; `places` are x, y, width and height of each.
    fn composed(
        figures: &[Figure],
        places: &[(f64, f64, f64, f64)],
        (width, height): (f64, f64),
    ) -> Self {
        let mut svg = format!(
            "<svg width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             xmlns=\"http://www.w3.org/2000/svg\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"#FFFFFF\"/>\n"
        );
        for (figure, (x, y, w, h)) in figures.iter().zip(places) {
            let (own_width, own_height) = figure.size();
            let opened = format!("<svg width=\"{own_width}\" height=\"{own_height}\"");
            let placed = format!("<svg x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\"");
            svg += &figure.svg.replacen(&opened, &placed, 1);
        }
        svg += "</svg>\n";
        Self { svg }
    }

    /// The width and height that the SVG begins with.
    fn size(&self) -> (f64, f64) {
        let number = |name: &str| {
            let rest = self.svg.split_once(&format!(" {name}=\""))?.1;
            rest.split_once('"')?.0.parse().ok()
        };
        (
            number("width").unwrap_or(1.0),
            number("height").unwrap_or(1.0),
        )
    }

    /// The width in pixels of the figure's own size.
    pub fn width(&self) -> f64 {
        self.size().0
    }

    /// The figure as a PNG file, `scale` pixels for each unit of the SVG: 1 gives the figure's own size (about 900 pixels
    /// wide), 2 suits dense screens.
    ///
    /// # Errors
    /// [`FigureError::Scale`] where the scale is not a positive number or the picture would be too large.
    pub fn png(&self, scale: f32) -> Result<Vec<u8>, FigureError> {
        let tree = Tree::from_str(&self.svg, &font::options())
            .map_err(|e| FigureError::Render(e.to_string()))?;
        let refused = || FigureError::Scale {
            scale,
            limit: LARGEST_SIDE,
        };
        let side = |length: f32| {
            let pixels = (length * scale).round();
            // A NaN fails both comparisons.
            if pixels >= 1.0 && pixels <= LARGEST_SIDE as f32 {
                Ok(pixels as u32)
            } else {
                Err(refused())
            }
        };
        let (width, height) = (side(tree.size().width())?, side(tree.size().height())?);
        let mut pixmap = Pixmap::new(width, height).ok_or_else(refused)?;
        resvg::render(
            &tree,
            Transform::from_scale(scale, scale),
            &mut pixmap.as_mut(),
        );
        pixmap
            .encode_png()
            .map_err(|e| FigureError::Render(e.to_string()))
    }
}
