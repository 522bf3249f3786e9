//! What holds for every figure: it is well formed, legible, the same each time, and never a panic.

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Group, Node, Rect, Tree};

use super::*;

mod samples;

use samples::*;

/// What may come out of a training that went wrong.
fn values() -> impl Iterator<Item = f64> {
    let large = [1e149, -1e149, 1e200, f64::MAX, f64::NAN, f64::INFINITY];
    [0.0, 1.0, -1.0, 5e-324, 1e-300].into_iter().chain(large)
}

fn parsed(svg: &str) -> Tree {
    Tree::from_str(svg, &font::options()).unwrap_or_else(|e| panic!("{e}: {svg:.300}"))
}

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

/// Parses a figure and demands that no text is cut off or lies on another.
fn check_legible(name: &str, figure: &Figure) {
    assert!(!figure.svg().contains("NaN"), "{name}");
    let tree = parsed(figure.svg());
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
fn figures_are_legible_small_and_the_same_each_time() {
    for ((name, first), (_, second)) in samples().into_iter().zip(samples()) {
        check_legible(name, &first);
        assert_eq!(first, second, "{name}");
        let length = first.svg().len();
        assert!(length < 400_000, "{name}: {length} bytes");
        assert!(
            first.svg().contains("font-family=\"Inter, sans-serif\""),
            "{name}"
        );
    }
}

#[test]
fn png_is_of_the_size_asked_for() {
    let figure = decision_boundary(&[moons("HSR", 20, 2)]).unwrap();
    let size = parsed(figure.svg()).size();
    for scale in [1.0_f32, 1.5] {
        let png = figure.png(scale).unwrap();
        let picture = Pixmap::decode_png(&png).unwrap();
        let sides = [size.width(), size.height()].map(|side| (side * scale).round() as u32);
        assert_eq!([picture.width(), picture.height()], sides);
        // White to the edge, and not blank.
        let corner = picture.pixel(0, 0).unwrap();
        assert_eq!(
            [corner.red(), corner.green(), corner.blue(), corner.alpha()],
            [255; 4]
        );
        assert!(picture.pixels().iter().any(|p| p.red() < 60));
        assert_eq!(png, figure.png(scale).unwrap());
    }
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e-6, 1e6] {
        let refused = figure.png(scale);
        assert!(matches!(refused, Err(FigureError::Scale { .. })), "{scale}");
    }
}

#[test]
fn bundled_typeface_has_the_characters_of_the_figures() {
    let mut used: String = (' '..='~').collect();
    used += "λχ−×…₁₂⁰¹²³⁴⁵⁶⁷⁸⁹⁻\u{a0}äöüßéθ";
    assert_eq!(font::options().fontdb.len(), 2);
    // A missing glyph is drawn as a box, as a Chinese character is, which the typeface lacks.
    let drawn = |c: char| {
        let text = format!("<text y=\"9\">&#{};</text>", u32::from(c));
        let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"9\" height=\"9\">".to_owned();
        let tree = parsed(&(svg + &text + "</svg>"));
        let mut pixmap = Pixmap::new(24, 24).unwrap();
        resvg::render(&tree, Transform::default(), &mut pixmap.as_mut());
        pixmap.data().to_vec()
    };
    let missing = drawn('\u{4e00}');
    for c in used.chars() {
        assert_ne!(drawn(c), missing, "{c:?}");
    }
}

/// Every figure of two values that may be anything.
fn degenerate(a: f64, b: f64) -> Vec<Result<Figure, FigureError>> {
    let spectra = [a, b, 0.5, f64::NAN, f64::NEG_INFINITY, 1e100].map(|lambda_sup| {
        let of = |eigenvalues, lambda_sup| Spectrum {
            label: "a".into(),
            eigenvalues,
            lambda_sup,
        };
        spectrum(&[of(vec![a, b, a], lambda_sup), of(vec![b], a)])
    });
    let mut panels = comparison(&["plain", "hsr"], 3);
    panels[0].groups[0].values = vec![a, b, a];
    panels[1].groups[1].values = vec![b];
    panels[2].groups[0].values = Vec::new();
    let mut three = bulk("hsr", 5, 1.0);
    (three.values, three.density) = (vec![-1.0, 0.0, 2.0], vec![a, b, 1.0]);
    (three.floor, three.spectrum.lambda_sup) = (a, a);
    three.spectrum.eigenvalues = vec![b, 0.3];
    let mut ends = three.clone();
    (ends.values, ends.density) = (vec![a, b], vec![0.5, 0.1]);
    let others = [
        distributions(&panels, 2),
        density(&[three]),
        density(&[ends]),
        loss_plane(&plane(5, |x, y| if x * y > 0.2 { a } else { b })),
    ];
    let marks = [
        Mark::Line,
        Mark::Dashed,
        Mark::Dots,
        Mark::Bars(0.5),
        Mark::Area,
    ];
    let charts = [(false, false), (true, true), (false, true)].map(|(x_log, y_log)| {
        let plots = marks.map(|mark| {
            let mut series = Series::new("s", mark, vec![[a, b], [b, a], [1.0, a]]);
            series.band = vec![[a, b, a], [1.0, a, b], [2.0, b, b]];
            Plot {
                x_log,
                y_log,
                diagonal: mark != Mark::Area,
                series: vec![series],
                ..Plot::default()
            }
        });
        chart(&Chart {
            columns: 3,
            plots: plots.into(),
            ..Chart::default()
        })
    });
    spectra.into_iter().chain(others).chain(charts).collect()
}

#[test]
fn degenerate_values_give_legible_figures_or_say_that_there_is_no_number() {
    for (a, b) in values().flat_map(|a| values().map(move |b| (a, b))) {
        for (i, result) in degenerate(a, b).into_iter().enumerate() {
            match result {
                Ok(figure) => check_legible(&format!("{a:e} {b:e} {i}"), &figure),
                Err(FigureError::NoFiniteValue { .. }) => {}
                Err(error) => panic!("{a:e} {b:e} {i}: {error}"),
            }
        }
    }
}

fn decided(change: impl Fn(&mut DecisionPanel)) -> Result<Figure, FigureError> {
    let mut panel = moons("m", 1, 2);
    change(&mut panel);
    decision_boundary(&[panel])
}

fn surroundings(change: impl Fn(&mut LossPlane)) -> Result<Figure, FigureError> {
    let mut plane = plane(5, valley);
    change(&mut plane);
    loss_plane(&plane)
}

#[test]
fn what_does_not_fit_together_is_refused_in_a_line() {
    let none = Spectrum {
        label: "x".into(),
        eigenvalues: Vec::new(),
        lambda_sup: 1.0,
    };
    let mut short = bulk("hsr", 5, 1.0);
    short.density.pop();
    let cases = [
        (spectrum(&[]), "no spectrum given"),
        (
            spectrum(&[none]),
            "x: no finite value among its eigenvalues",
        ),
        (density(&[]), "no density given"),
        (density(&[short]), "hsr: 799 densities, expected 800"),
        (distributions(&[], 2), "no distribution given"),
        (
            distributions(&comparison(&["plain"], 2), 0),
            "no distribution given",
        ),
        (
            distributions(&comparison(&[], 2), 2),
            "no distribution given",
        ),
        (chart(&Chart::default()), "no panel given"),
        (decision_boundary(&[]), "no decision panel given"),
        (decided(|p| p.grid = 0), "no grid cell given"),
        (
            decided(|p| p.grid = 3),
            "m: 1 predicted classes, expected 9",
        ),
        (
            decided(|p| p.grid = usize::MAX),
            "m: 1 predicted classes, expected",
        ),
        (
            decided(|p| p.labels.truncate(3)),
            "m: 3 labels, expected 120",
        ),
        (
            surroundings(|p| p.loss.truncate(7)),
            "7 losses, expected 25",
        ),
        (surroundings(|p| p.x.truncate(1)), "no grid cell given"),
        (
            surroundings(|p| p.y[3] = f64::NAN),
            "y range 0 to NaN, expected finite ends",
        ),
        (
            surroundings(|p| p.x.reverse()),
            "x range 1 to 0.5, expected finite ends",
        ),
    ];
    for (result, words) in cases {
        let message = result.unwrap_err().to_string();
        assert!(
            message.contains(words) && !message.contains('\n'),
            "{message}: {words}"
        );
    }
    let (nan, infinite) = ((f64::NAN, 1.0), (0.0, f64::INFINITY));
    for range in [(0.0, 0.0), (1.0, 0.0), nan, infinite, (-f64::MAX, f64::MAX)] {
        for result in [
            decided(|p| p.x_range = range),
            decided(|p| p.y_range = range),
        ] {
            assert!(
                matches!(result, Err(FigureError::Range { .. })),
                "{range:?}"
            );
        }
    }
    for range in [(0.0, 5e-324), (1.0, 1.0 + f64::EPSILON), (-1e149, 1e149)] {
        check_legible("range", &decided(|p| p.x_range = range).unwrap());
    }
    check_legible(
        "no number",
        &decided(|p| p.points[0] = [f64::NAN, f64::INFINITY]).unwrap(),
    );
    check_legible("class", &decided(|p| p.labels[0] = usize::MAX).unwrap());
    // A network outside the picture is not drawn.
    let aside = surroundings(|p| p.x.iter_mut().for_each(|x| *x += 5.0)).unwrap();
    assert!(!aside.svg().contains("<circle"));
}

#[test]
fn of_many_samples_some_of_every_class_are_drawn() {
    let labels = (0..400_000).map(|i| if i == 77 { 5 } else { i % 2 });
    let crowd = decided(|p| {
        (p.points, p.labels) = (vec![[0.0, 0.0]; 400_000], labels.clone().collect());
        p.classes = vec![0];
    });
    let crowd = crowd.unwrap();
    let drawn = |element: &str| crowd.svg().matches(element).count();
    // Discs of class 0 and squares of classes 1 and 5, each with its rim, and one of each in the legend.
    assert_eq!(drawn("<circle"), 2 * (2000 + 1));
    assert_eq!(drawn("<rect") - 1, 2 * (2000 + 1 + 2));
    assert!(crowd.svg().contains("more than 2000 points of a name") && crowd.png(1.0).is_ok());
    assert!(!decided(|_| {}).unwrap().svg().contains("are drawn"));
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
    let lines = figure.svg().lines();
    let boxes = lines.filter(|line| line.starts_with("<rect") && !line.contains("#FFFFFF"));
    let boxes = boxes.map(|line| {
        // <rect x="…" y="…" width="…"
        let quoted: Vec<&str> = line.split('"').collect();
        [1, 5].map(|i| quoted[i].parse().unwrap()).into()
    });
    let boxes: Vec<(f64, f64)> = boxes.collect();
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
fn any_label_is_written_as_text() {
    let long = "a very long label that says far too much ".repeat(40);
    let strange = "a\u{0}b\u{1b}\n\u{fffe}";
    let markup = ["<b>&amp;\"'</b>", "λ_sup & λ_", "λ_max<"];
    for label in ["", " ", strange, "日本語 العربية 🙂", &long]
        .into_iter()
        .chain(markup)
    {
        let owned = || label.to_owned();
        let mut of_label = bulk(label, 20, 1.0);
        of_label.note = owned();
        let mut panels = comparison(&[label, "hsr"], 5);
        (panels[0].title, panels[0].groups[1].mark) = (owned(), owned());
        let around = |p: &mut LossPlane| {
            (p.title, p.note, p.network) = (owned(), owned(), owned());
            p.axes = [owned(), owned()];
        };
        let figures = [
            spectrum(&[hessian(label, 20, 1.0), hessian("HSR", 20, 1.0)]),
            decided(|p| p.title = owned()),
            density(&[of_label]),
            distributions(&panels, 2),
            chart(&charts(label)),
            surroundings(around),
        ];
        for figure in figures {
            check_legible(label, &figure.unwrap());
        }
    }
}
