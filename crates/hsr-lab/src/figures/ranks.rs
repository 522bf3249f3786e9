//! A critical-difference diagram: mean ranks on a line, and bars over the methods that do not differ.

use plotters::style::text_anchor::{HPos, VPos};

use super::canvas::{Canvas, Type};
use super::error::FigureError;
use super::figure::Figure;
use super::palette::{self, AXIS, INK, MUTED};
use crate::statistics::Friedman;

const WIDTH: f64 = 900.0;
/// On either side of the axis, for names.
const SIDE: f64 = 190.0;
const TOP: f64 = 108.0;
const BAR: f64 = 9.0;
const ROW: f64 = 24.0;
const TITLE: Type = Type::bold(17.0, INK);
const NOTE: Type = Type::regular(12.0, MUTED);
const NAME: Type = Type::regular(13.5, INK);
const TICK: Type = Type::regular(12.0, INK);

/// Draws the mean ranks of methods over tasks, the best on the left, as Demšar (2006) does: methods under one bar do not
/// differ by more than the critical difference, which is drawn above the axis. `names` are those of the test's methods.
///
/// # Errors
/// [`FigureError::Empty`] where there are not as many names as methods.
pub fn mean_ranks(title: &str, names: &[&str], test: &Friedman) -> Result<Figure, FigureError> {
    if names.len() != test.mean_ranks.len() || names.len() < 2 {
        return Err(FigureError::Empty("method"));
    }
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by(|&a, &b| test.mean_ranks[a].total_cmp(&test.mean_ranks[b]));
    let groups = test.groups();
    let colors = palette::series(names.iter().copied());
    let last = names.len() as f64;
    let x = |rank: f64| SIDE + (rank - 1.0) / (last - 1.0) * (WIDTH - 2.0 * SIDE);
    let bars = TOP + 12.0;
    let first_row = bars + BAR * groups.len() as f64 + 14.0;
    // The better half is named on the left, from the axis outwards on either side.
    let left = names.len().div_ceil(2);
    let height = first_row + ROW * left as f64 + 12.0;
    Canvas::figure(WIDTH, height, |canvas| {
        let title = TITLE.fitted(title, WIDTH - 32.0);
        canvas.text(&title, (16.0, 12.0), (HPos::Left, VPos::Top), TITLE)?;
        let note = format!(
            "Mean rank over {} tasks, 1 is best. Friedman χ² = {:.2}, p = {:.2e}. Bars join methods that do not differ (Nemenyi, 0.05).",
            test.tasks, test.statistic, test.p
        );
        canvas.text(&note, (16.0, 37.0), (HPos::Left, VPos::Top), NOTE)?;
        if let Some(distance) = test.critical_difference {
            let (from, to) = (x(1.0), x(1.0 + distance.min(last - 1.0)));
            let y = TOP - 34.0;
            canvas.line([(from, y), (to, y)], INK, 1.6)?;
            for end in [from, to] {
                canvas.line([(end, y - 4.0), (end, y + 4.0)], INK, 1.6)?;
            }
            let text = format!("CD = {distance:.2}");
            canvas.text(&text, (to + 8.0, y), (HPos::Left, VPos::Center), TICK)?;
        }
        canvas.line([(x(1.0), TOP), (x(last), TOP)], AXIS, 1.4)?;
        for rank in 1..=names.len() {
            let at = x(rank as f64);
            canvas.line([(at, TOP - 6.0), (at, TOP)], AXIS, 1.4)?;
            let anchor = (HPos::Center, VPos::Bottom);
            canvas.text(&rank.to_string(), (at, TOP - 8.0), anchor, TICK)?;
        }
        for (number, group) in groups.iter().enumerate() {
            let y = bars + BAR * number as f64;
            let ends = [group[0], group[group.len() - 1]].map(|it| x(test.mean_ranks[it]));
            canvas.line([(ends[0] - 3.0, y), (ends[1] + 3.0, y)], INK, 4.0)?;
        }
        for (place, &method) in order.iter().enumerate() {
            let at = x(test.mean_ranks[method]);
            let on_left = place < left;
            let row = if on_left {
                place
            } else {
                names.len() - 1 - place
            };
            let y = first_row + ROW * row as f64;
            let end = if on_left {
                SIDE - 12.0
            } else {
                WIDTH - SIDE + 12.0
            };
            canvas.line([(at, TOP), (at, y), (end, y)], colors[method], 1.3)?;
            canvas.disc((at, TOP), 3.5, colors[method])?;
            let rank = test.mean_ranks[method];
            let text = NAME.fitted(&format!("{} {rank:.2}", names[method]), SIDE - 30.0);
            let (x, side) = match on_left {
                true => (end - 6.0, HPos::Right),
                false => (end + 6.0, HPos::Left),
            };
            canvas.text(&text, (x, y), (side, VPos::Center), NAME)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagram_names_every_method_and_its_rank() {
        let names = ["plain", "hsr", "sam", "weight-decay"];
        let scores = [
            [0.1, 0.4, 0.3, 0.2],
            [0.2, 0.4, 0.3, 0.1],
            [0.1, 0.3, 0.4, 0.2],
        ];
        let test = Friedman::of(&scores).unwrap();
        let figure = mean_ranks("macro-F1", &names, &test).unwrap();
        for (name, rank) in names.iter().zip(["3.67", "1.33", "1.67", "3.33"]) {
            assert!(figure.svg().contains(&format!("{name} {rank}")), "{name}");
        }
        assert!(figure.svg().contains("CD = 2.71"));
        assert!(mean_ranks("macro-F1", &names[..3], &test).is_err());
    }
}
