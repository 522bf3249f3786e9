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

    /// The width in pixels of the figure's own size.
    pub fn width(&self) -> f64 {
        let width = self.svg.split("width=\"").nth(1);
        let width = width.and_then(|rest| rest.split('"').next());
        width.and_then(|width| width.parse().ok()).unwrap_or(0.0)
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
