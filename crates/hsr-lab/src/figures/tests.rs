//! What holds for every figure: it is well formed, legible, the same each time, and never a panic.

use resvg::tiny_skia::Pixmap;
use resvg::usvg::{Group, Node, Rect, Tree};

use super::*;

mod samples;

use samples::*;

/// What may come out of a training that went wrong.
const VALUES: [f64; 11] = [
    0.0,
    1.0,
    -1.0,
    5e-324,
    1e-300,
    1e149,
    -1e149,
    1e200,
    f64::MAX,
    f64::NAN,
    f64::INFINITY,
];

fn texts(group: &Group, out: &mut Vec<(String, Rect)>) {
    for node in group.children() {
        match node {
            Node::Group(group) => texts(group, out),
            Node::Text(text) => {
                let content = text.chunks().iter().map(|chunk| chunk.text()).collect();
                out.push((content, text.abs_bounding_box()));
            }
            _ => {}
        }
    }
}

/// Parses a figure and demands that no text is cut off or lies on another, and that every character has a glyph.
fn check_legible(name: &str, figure: &Figure) {
    let tree =
        Tree::from_str(figure.svg(), &font::options()).unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut found = Vec::new();
    texts(tree.root(), &mut found);
    assert!(!found.is_empty(), "{name}");
    let (width, height) = (tree.size().width(), tree.size().height());
    // A box is as high as the typeface's tallest letters; what is written is lower.
    let slack = |r: &Rect| 0.12 * r.width().min(r.height());
    for (i, (text, a)) in found.iter().enumerate() {
        let inside =
            a.left() >= 0.0 && a.top() >= 0.0 && a.right() <= width && a.bottom() <= height;
        assert!(inside, "{name}: {text:?} reaches out of the picture: {a:?}");
        for (other, b) in &found[..i] {
            let s = slack(a).max(slack(b));
            let apart = a.right() <= b.left() + s
                || b.right() <= a.left() + s
                || a.bottom() <= b.top() + s
                || b.bottom() <= a.top() + s;
            assert!(apart, "{name}: {text:?} lies on {other:?}: {a:?} {b:?}");
        }
    }
}

#[test]
fn figures_are_legible() {
    for (name, figure) in samples() {
        check_legible(name, &figure);
    }
}

#[test]
fn figures_are_small_and_the_same_each_time() {
    for ((name, first), (_, second)) in samples().into_iter().zip(samples()) {
        assert_eq!(first, second, "{name}");
        assert!(
            first.svg().len() < 400_000,
            "{name}: {} bytes",
            first.svg().len()
        );
        assert!(
            first.svg().contains("font-family=\"Inter, sans-serif\""),
            "{name}"
        );
    }
}

#[test]
fn png_is_of_the_size_asked_for() {
    let figure = decision_boundary(&[moons("HSR", 20, 0.7)]).unwrap();
    let tree = Tree::from_str(figure.svg(), &font::options()).unwrap();
    for scale in [1.0_f32, 1.5] {
        let png = figure.png(scale).unwrap();
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
        let picture = Pixmap::decode_png(&png).unwrap();
        assert_eq!(
            picture.width(),
            (tree.size().width() * scale).round() as u32
        );
        assert_eq!(
            picture.height(),
            (tree.size().height() * scale).round() as u32
        );
        // White to the edge, and not blank.
        let corner = picture.pixel(0, 0).unwrap();
        assert_eq!(
            (corner.red(), corner.green(), corner.blue(), corner.alpha()),
            (255, 255, 255, 255)
        );
        assert!(picture.pixels().iter().any(|p| p.red() < 60));
        assert_eq!(png, figure.png(scale).unwrap());
    }
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e-6, 1e6] {
        assert!(
            matches!(figure.png(scale), Err(FigureError::Scale { .. })),
            "{scale}"
        );
    }
}

#[test]
fn bundled_typeface_has_the_characters_of_the_figures() {
    let mut used: String = (' '..='~').collect();
    used += "λ−×…₁₂⁰¹²³⁴⁵⁶⁷⁸⁹⁻\u{a0}äöüßéλθ";
    let fonts = &font::options().fontdb;
    assert_eq!(fonts.len(), 2);
    // A missing glyph is drawn as a box, as a Chinese character is, which the typeface lacks.
    let drawn = |c: char| {
        let text = if matches!(c, '&' | '<' | '>') {
            format!("&#{};", u32::from(c))
        } else {
            c.to_string()
        };
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"9\" height=\"9\"><text y=\"9\">{text}</text></svg>"
        );
        let tree = Tree::from_str(&svg, &font::options()).unwrap();
        let mut pixmap = Pixmap::new(24, 24).unwrap();
        resvg::render(
            &tree,
            resvg::tiny_skia::Transform::default(),
            &mut pixmap.as_mut(),
        );
        pixmap.data().to_vec()
    };
    let missing = drawn('\u{4e00}');
    for c in used.chars() {
        assert_ne!(drawn(c), missing, "{c:?}");
    }
}

#[test]
fn degenerate_spectra_are_figures_or_errors() {
    for a in VALUES {
        for b in VALUES {
            for lambda_sup in [a, b, 0.5, f64::NAN, f64::NEG_INFINITY, 1e100] {
                let first = Spectrum {
                    label: "a".into(),
                    eigenvalues: vec![a, b, a],
                    lambda_sup,
                };
                let second = Spectrum {
                    label: "b".into(),
                    eigenvalues: vec![b],
                    lambda_sup: a,
                };
                match spectrum(&[first, second]) {
                    Ok(figure) => assert!(!figure.svg().contains("NaN")),
                    Err(error) => assert!(
                        matches!(error, FigureError::NoFiniteValue { .. }),
                        "{error}"
                    ),
                }
            }
        }
    }
    assert!(matches!(spectrum(&[]), Err(FigureError::Empty(_))));
    let none = Spectrum {
        label: "x".into(),
        eigenvalues: Vec::new(),
        lambda_sup: 1.0,
    };
    assert_eq!(
        spectrum(&[none]).unwrap_err().to_string(),
        "x: no finite value among its eigenvalues"
    );
}

#[test]
fn degenerate_training_is_a_figure_or_an_error() {
    for a in VALUES {
        for b in VALUES {
            let curve = TrainingCurve {
                label: "a".into(),
                epochs: vec![0.0, b, 2.0],
                loss: vec![a, b, a],
                lambda_sup: vec![b, b, b],
                accuracy: vec![f64::NAN, a, f64::NAN],
            };
            match training(&[curve]) {
                Ok(figure) => check_legible(&format!("{a:e} {b:e}"), &figure),
                Err(error) => assert!(
                    matches!(error, FigureError::NoFiniteValue { .. }),
                    "{error}"
                ),
            }
        }
    }
    assert!(matches!(training(&[]), Err(FigureError::Empty(_))));
    let mut short = curve("HSR", 5, 1.0);
    short.accuracy.pop();
    assert_eq!(
        training(&[short]).unwrap_err().to_string(),
        "HSR: 4 accuracies, expected 5"
    );
}

#[test]
fn degenerate_comparisons_are_figures_or_errors() {
    for a in VALUES {
        for b in VALUES {
            let name = format!("{a:e} {b:e}");
            let mut panels = comparison(&["plain", "hsr"], 3);
            panels[0].groups[0].values = vec![a, b, a];
            panels[1].groups[1].values = vec![b];
            panels[2].groups[0].values = Vec::new();
            let figure = distributions(&panels, 2).unwrap();
            assert!(!figure.svg().contains("NaN"), "{name}");
            check_legible(&name, &figure);
            let mut panels = clouds(&["plain", "hsr"], 3);
            panels[0].clouds[0].points = vec![[a, b], [b, a]];
            panels[0].clouds[1].points = Vec::new();
            let figure = scatter(&panels).unwrap();
            assert!(!figure.svg().contains("NaN"), "{name}");
            check_legible(&name, &figure);
        }
    }
    let one = comparison(&["plain"], 2);
    assert!(matches!(distributions(&[], 2), Err(FigureError::Empty(_))));
    assert!(matches!(distributions(&one, 0), Err(FigureError::Empty(_))));
    assert!(matches!(
        distributions(&comparison(&[], 2), 2),
        Err(FigureError::Empty(_))
    ));
    assert!(matches!(scatter(&[]), Err(FigureError::Empty(_))));
    assert!(matches!(
        scatter(&clouds(&[], 2)),
        Err(FigureError::Empty(_))
    ));
}

#[test]
fn distributions_show_quartiles_where_numpy_has_them() {
    let group = |values: &[f64]| Distribution {
        label: "hsr".to_owned(),
        values: values.to_vec(),
        mark: String::new(),
    };
    // Quartiles 1.75, 2.5 and 3.25 of 1 to 4; the second row makes the axis 0 to 5.
    let panel = DistributionPanel {
        title: "x".to_owned(),
        groups: vec![group(&[1.0, 2.0, 3.0, 4.0]), group(&[0.0, 5.0])],
    };
    let figure = distributions(&[panel], 1).unwrap();
    let svg = figure.svg();
    let number = |text: &str, name: &str| -> f64 {
        let rest = text.split(&format!("{name}=\"")).nth(1).unwrap();
        rest.split('"').next().unwrap().parse().unwrap()
    };
    let boxes: Vec<(f64, f64)> = svg
        .lines()
        .filter(|line| line.starts_with("<rect") && !line.contains("#FFFFFF"))
        .map(|line| (number(line, "x"), number(line, "width")))
        .collect();
    let [first, second] = boxes[..] else {
        panic!("{boxes:?}");
    };
    // The boxes span 1.5 and 2.5 units of the same axis, from 1.75 and from 1.25.
    let unit = second.1 / 2.5;
    assert!((first.1 / unit - 1.5).abs() < 0.01, "{boxes:?}");
    assert!(
        ((first.0 - second.0) / unit - 0.5).abs() < 0.01,
        "{boxes:?}"
    );
}

#[test]
fn degenerate_decisions_are_figures_or_errors() {
    let good = moons("m", 1, 1.0);
    assert!(decision_boundary(std::slice::from_ref(&good)).is_ok());
    assert!(matches!(decision_boundary(&[]), Err(FigureError::Empty(_))));
    let with = |change: &dyn Fn(&mut DecisionPanel)| {
        let mut panel = good.clone();
        change(&mut panel);
        decision_boundary(&[panel])
    };
    assert!(matches!(with(&|p| p.grid = 0), Err(FigureError::Empty(_))));
    assert!(matches!(
        with(&|p| p.grid = 3),
        Err(FigureError::Length { .. })
    ));
    assert!(matches!(
        with(&|p| p.grid = usize::MAX),
        Err(FigureError::Length { .. })
    ));
    assert!(matches!(
        with(&|p| p.labels.truncate(3)),
        Err(FigureError::Length { .. })
    ));
    for range in [
        (0.0, 0.0),
        (1.0, 0.0),
        (f64::NAN, 1.0),
        (0.0, f64::INFINITY),
        (-f64::MAX, f64::MAX),
    ] {
        assert!(matches!(
            with(&|p| p.x_range = range),
            Err(FigureError::Range { axis: 'x', .. })
        ));
        assert!(matches!(
            with(&|p| p.y_range = range),
            Err(FigureError::Range { axis: 'y', .. })
        ));
    }
    for range in [(0.0, 5e-324), (1.0, 1.0 + f64::EPSILON), (-1e149, 1e149)] {
        check_legible("range", &with(&|p| p.x_range = range).unwrap());
    }
    assert!(with(&|p| p.points[0] = [f64::NAN, f64::INFINITY]).is_ok());
    assert!(with(&|p| p.labels[0] = usize::MAX).is_ok());
}

#[test]
fn degenerate_densities_are_figures_or_errors() {
    for a in VALUES {
        for b in VALUES {
            let mut two = bulk("hsr", 5, 1.0);
            (two.values, two.density) = (vec![-1.0, 0.0, 2.0], vec![a, b, 1.0]);
            two.floor = a;
            two.spectrum.eigenvalues = vec![b, 0.3];
            two.spectrum.lambda_sup = a;
            let mut ends = two.clone();
            (ends.values, ends.density) = (vec![a, b], vec![0.5, 0.1]);
            for one in [two, ends] {
                match density(&[one]) {
                    Ok(figure) => check_legible(&format!("{a:e} {b:e}"), &figure),
                    Err(error) => assert!(
                        matches!(error, FigureError::NoFiniteValue { .. }),
                        "{error}"
                    ),
                }
            }
        }
    }
    assert!(matches!(density(&[]), Err(FigureError::Empty(_))));
    let mut short = bulk("hsr", 5, 1.0);
    short.density.pop();
    assert_eq!(
        density(&[short]).unwrap_err().to_string(),
        "hsr: 799 densities, expected 800"
    );
}

#[test]
fn degenerate_landscapes_are_figures_or_errors() {
    for a in VALUES {
        for b in VALUES {
            let two = plane(5, |x, y| if x * y > 0.2 { a } else { b });
            match loss_plane(&two) {
                Ok(figure) => check_legible(&format!("{a:e} {b:e}"), &figure),
                Err(error) => assert!(
                    matches!(error, FigureError::NoFiniteValue { .. }),
                    "{error}"
                ),
            }
            match loss_profile(&profile(|t| if t > 0.4 { a } else { b }, Some((a, b)))) {
                Ok(figure) => check_legible(&format!("{a:e} {b:e}"), &figure),
                Err(error) => assert!(
                    matches!(error, FigureError::NoFiniteValue { .. }),
                    "{error}"
                ),
            }
        }
    }
    let with = |change: &dyn Fn(&mut LossPlane)| {
        let mut plane = plane(5, valley);
        change(&mut plane);
        loss_plane(&plane)
    };
    assert!(matches!(
        with(&|p| p.loss.truncate(7)),
        Err(FigureError::Length { .. })
    ));
    assert!(matches!(
        with(&|p| p.x.truncate(1)),
        Err(FigureError::Empty(_))
    ));
    assert!(matches!(
        with(&|p| p.y[3] = f64::NAN),
        Err(FigureError::Range { axis: 'y', .. })
    ));
    assert!(matches!(
        with(&|p| p.x.reverse()),
        Err(FigureError::Range { axis: 'x', .. })
    ));
    // A network outside the picture is not drawn.
    let aside = with(&|p| p.x.iter_mut().for_each(|x| *x += 5.0)).unwrap();
    assert!(!aside.svg().contains("hsr: "));
    let mut short = profile(|t| t, None);
    short.loss.pop();
    assert_eq!(
        loss_profile(&short).unwrap_err().to_string(),
        "Loss between the networks of digits-hsr: 60 losses, expected 61"
    );
}

#[test]
fn any_label_is_written_as_text() {
    let long = "a very long label that says far too much ".repeat(40);
    for label in [
        "",
        " ",
        "<b>&amp;\"'</b>",
        "λ_sup & λ_",
        "λ_max<",
        "a\u{0}b\u{1b}\n\u{fffe}",
        "日本語 العربية 🙂",
        &long,
    ] {
        let mut panel = moons(label, 5, 1.0);
        panel.title = label.to_owned();
        check_legible(
            label,
            &spectrum(&[hessian(label, 20, 1.0), hessian("HSR", 20, 1.0)]).unwrap(),
        );
        check_legible(
            label,
            &training(&[curve(label, 20, 1.0), curve(label, 20, 2.0)]).unwrap(),
        );
        check_legible(label, &decision_boundary(&[panel]).unwrap());
        let mut of_label = bulk(label, 20, 1.0);
        of_label.note = label.to_owned();
        check_legible(label, &density(&[of_label]).unwrap());
        let mut panels = comparison(&[label, "hsr"], 5);
        (panels[0].title, panels[0].groups[1].mark) = (label.to_owned(), label.to_owned());
        check_legible(label, &distributions(&panels, 2).unwrap());
        let mut panels = clouds(&[label, "hsr"], 5);
        panels[0].title = label.to_owned();
        check_legible(label, &scatter(&panels).unwrap());
        let mut around = plane(9, valley);
        (around.title, around.note) = (label.to_owned(), label.to_owned());
        (around.axes[0], around.axes[1]) = (label.to_owned(), label.to_owned());
        around.network = label.to_owned();
        check_legible(label, &loss_plane(&around).unwrap());
        let mut between = profile(|t| t * t, None);
        (between.title, between.note) = (label.to_owned(), label.to_owned());
        between.networks = [label.to_owned(), label.to_owned()];
        check_legible(label, &loss_profile(&between).unwrap());
    }
}

#[test]
fn figures_in_one_keep_their_size_and_their_place() {
    let [a, b] = [20, 30].map(|grid| decision_boundary(&[moons("m", grid, 0.7)]).unwrap());
    let tree = |figure: &Figure| Tree::from_str(figure.svg(), &font::options()).unwrap();
    let size = |figure: &Figure| (tree(figure).size().width(), tree(figure).size().height());
    let stacked = Figure::stacked(&[a.clone(), b.clone()]);
    assert_eq!(size(&stacked), (size(&a).0, size(&a).1 + size(&b).1));
    let beside = Figure::beside(&[a.clone(), b], 2.0 * f64::from(size(&a).0));
    assert_eq!(size(&beside), (2.0 * size(&a).0, size(&a).1));
    assert_eq!(beside.width(), 2.0 * f64::from(size(&a).0));
    // The left half of the one beside another is that one.
    let pixels = |figure: &Figure| Pixmap::decode_png(&figure.png(1.0).unwrap()).unwrap();
    let (whole, half) = (pixels(&beside), pixels(&a));
    let rows = half.height().min(whole.height());
    for y in (0..rows).step_by(7) {
        for x in (0..half.width()).step_by(7) {
            assert_eq!(whole.pixel(x, y), half.pixel(x, y), "{x} {y}");
        }
    }
}

#[test]
fn degenerate_charts_are_figures() {
    for a in VALUES {
        for b in VALUES {
            for (x_log, y_log) in [(false, false), (true, true), (false, true)] {
                for mark in [Mark::Line, Mark::Dashed, Mark::Dots, Mark::Bars(0.5)] {
                    let mut series = Series::new("s", mark, vec![[a, b], [b, a], [1.0, a]]);
                    series.band = vec![[a, b, a], [1.0, a, b], [2.0, b, b]];
                    let plot = Plot {
                        x_log,
                        y_log,
                        diagonal: true,
                        series: vec![series],
                        ..Plot::default()
                    };
                    let figure = chart(&Chart {
                        columns: 1,
                        plots: vec![plot],
                        ..Chart::default()
                    });
                    assert!(
                        !figure.unwrap().svg().contains("NaN"),
                        "{a:e} {b:e} {mark:?}"
                    );
                }
            }
        }
    }
    assert!(matches!(
        chart(&Chart::default()),
        Err(FigureError::Empty(_))
    ));
}
