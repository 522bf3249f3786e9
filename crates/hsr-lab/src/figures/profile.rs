//! The loss on the line between two networks, as a curve.

use super::canvas::Type;
use super::chart::{Chart, Layout, Plot};
use super::error::FigureError;
use super::figure::Figure;
use super::number;
use super::palette::INK;
use super::range::drawable;
use super::series::{Mark, Series};

/// The loss on the line between two networks.
#[derive(Clone, Debug, PartialEq)]
pub struct LossProfile {
    /// The figure's title.
    pub title: String,
    /// What it shows, in a line below the title.
    pub note: String,
    /// The coordinates, ascending: 0 at the first network, 1 at the second.
    pub t: Vec<f64>,
    /// The losses. One that is not finite is left out.
    pub loss: Vec<f64>,
    /// The networks' names.
    pub networks: [String; 2],
    /// Their losses.
    pub ends: [f64; 2],
    /// Where the loss is highest above the straight line between the networks, and by how much.
    pub barrier: Option<(f64, f64)>,
}

const NAME: Type = Type::regular(12.5, INK);

/// Draws the loss between two networks: the curve, the networks, and dashed the straight line between their losses.
///
/// # Errors
/// [`FigureError::Length`] where the sequences do not fit, [`FigureError::NoFiniteValue`] where there are not two losses
/// to draw.
pub fn loss_profile(profile: &LossProfile) -> Result<Figure, FigureError> {
    if profile.t.len() != profile.loss.len() {
        return Err(FigureError::Length {
            label: profile.title.clone(),
            what: "losses",
            found: profile.loss.len(),
            expected: profile.t.len(),
        });
    }
    let shown = |p: &[f64; 2]| p.iter().all(|v| drawable(*v));
    let both = profile.t.iter().zip(&profile.loss).map(|(t, v)| [*t, *v]);
    let mut curve: Vec<[f64; 2]> = both.filter(shown).collect();
    let ends = [[0.0, profile.ends[0]], [1.0, profile.ends[1]]];
    if curve.len() < 2 || !ends.iter().all(shown) {
        return Err(FigureError::NoFiniteValue {
            label: profile.title.clone(),
            what: "losses",
        });
    }
    // The networks are on their own curve.
    curve.extend(ends);
    curve.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let [first, second] = [0, 1].map(|i| {
        let (name, loss) = (&profile.networks[i], number::value(profile.ends[i]));
        let label = format!("{name}: {loss}");
        Series::new(label, Mark::Point, vec![ends[i]])
    });
    let barrier = profile.barrier.map(|(t, height)| {
        let chord = (1.0 - t) * profile.ends[0] + t * profile.ends[1];
        let line = vec![[t, chord], [t, chord + height]];
        Series::new(&second.label, Mark::Line, line)
    });
    let chord = Series::new("", Mark::Dashed, ends.to_vec());
    let curve = Series::new("", Mark::Line, curve);
    let [a, b] = profile
        .networks
        .each_ref()
        .map(|name| NAME.fitted(name, 200.0));
    let plot = Plot {
        x: format!("position on the line: 0 is {a}, 1 is {b}"),
        y: "loss".to_owned(),
        series: [chord, curve]
            .into_iter()
            .chain(barrier)
            .chain([first, second])
            .collect(),
        ..Plot::default()
    };
    let layout = Layout {
        height: 300.0,
        shared: false,
        alone: true,
    };
    layout.figure(&Chart {
        title: profile.title.clone(),
        note: profile.note.clone(),
        plots: vec![plot],
        ..Chart::default()
    })
}
