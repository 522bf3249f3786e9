//! What a step with HSR costs, predicted from counted work.
//!
//! hsr-core counts what its evaluation does ([`Plan::work`]) in multiply-adds of a large matrix product; the rest of the
//! step, and a plain step of Burn, are counted here in the same unit. What is not arithmetic has a price in that unit,
//! rounded by hand to the steps that the tables of the book and the README time: nine sizes from 21 to 101,770 parameters, on
//! two cores, where a thread does some 80 thousand million multiply-adds a second. The bench `step_cost` prints prediction and
//! measurement side by side.

use hsr_core::depth::LayerShape;
use hsr_core::{Dimensions, Error, Plan};

use crate::config::HsrConfig;
use crate::layers::{Layers, shapes, three_layers};
use crate::sharpness::Sharpness;
use crate::subsample::Subsample;

/// The price of a step with HSR, from [`Hsr::cost`](crate::Hsr::cost).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepCost {
    /// The rows of the batch that the regulariser takes.
    pub rows: usize,
    /// The whole step, forward pass, `backward` and optimizer with it, in plain steps of the layers on that batch.
    pub plain_steps: f64,
}

/// Up to so many parameters [`Subsample::Auto`] takes the whole batch: such steps take milliseconds whatever their number
/// of plain steps, and stay exact.
const WIDE: usize = 10_000;

/// The fewest rows that are left by halving.
const FEWEST: usize = 8;

/// The rows taken of `samples`.
///
/// # Errors
///
/// As [`plain_steps`].
pub(crate) fn rows(
    config: &HsrConfig,
    shapes: &[LayerShape],
    samples: usize,
) -> Result<usize, Error> {
    let parameters = || shapes.iter().map(LayerShape::parameters).sum::<usize>();
    let mut rows = samples;
    match config.subsample {
        Subsample::All => {}
        Subsample::Rows(most) => rows = rows.min(most),
        Subsample::Auto if parameters() <= WIDE => {}
        Subsample::Auto => {
            while rows > FEWEST && plain_steps(config, shapes, samples, rows)? > Subsample::BUDGET {
                rows = rows.div_ceil(2).max(FEWEST);
            }
        }
    }
    Ok(rows)
}

/// A step whose regulariser takes `rows` of `samples` rows, in plain steps. Both are counted in multiply-adds of a large
/// matrix product.
pub(crate) fn plain_steps(
    config: &HsrConfig,
    shapes: &[LayerShape],
    samples: usize,
    rows: usize,
) -> Result<f64, Error> {
    let penalty = penalty(config, shapes, rows)?;
    Ok(1.0 + penalty / plain_step(shapes, samples))
}

/// Whether the host has the measure of a batch of `samples` rows, with its gradient, in some hundredths of a second: less
/// than what hundreds of operations take on a device at the other end of a network.
pub(crate) fn is_small<M: Layers>(config: &HsrConfig, model: &M, samples: usize) -> bool {
    penalty(config, &shapes(model), samples).is_ok_and(|work| work < 1e9)
}

/// A plain step of Burn with SGD: bookkeeping whatever the sizes, three matrix products a layer, the hidden units' activation
/// and its derivative, and the parameters, each of which is copied and updated.
fn plain_step(shapes: &[LayerShape], samples: usize) -> f64 {
    5.5e6 + 3.0 * pass(shapes, samples) + 700.0 * values(shapes)
}

/// One matrix product a layer, and a third of what a hidden unit of a sample takes.
fn pass(shapes: &[LayerShape], samples: usize) -> f64 {
    let products = shapes.iter().map(|s| of(s.inputs) * of(s.outputs));
    of(samples) * (products.sum::<f64>() + 800.0 * hidden_units(shapes))
}

fn values(shapes: &[LayerShape]) -> f64 {
    shapes.iter().map(|shape| of(shape.values())).sum()
}

fn hidden_units(shapes: &[LayerShape]) -> f64 {
    let hidden = shapes.len().saturating_sub(1);
    shapes[..hidden].iter().map(|shape| of(shape.outputs)).sum()
}

/// The measure with its gradient.
fn penalty(config: &HsrConfig, shapes: &[LayerShape], rows: usize) -> Result<f64, Error> {
    // Tensors are read and made, the gradient is transposed and added to the loss's.
    let reading = 1.3e6 + 400.0 * values(shapes);
    if config.probes > 0 {
        // A product with H is 8 matrix products a layer, the gradient of yᵀHv 22: ten gradients of the loss.
        return Ok(reading + of(config.probes) * 10.0 * 3.0 * pass(shapes, rows));
    }
    let three = three_layers(shapes).filter(|_| !config.sharpness.is_of_blocks());
    let around = match &three {
        Some((dimensions, _)) => around_the_blocks(dimensions, rows),
        None => around_deep_blocks(shapes, rows),
    };
    Ok(match config.sharpness {
        Sharpness::Trace => reading + around,
        Sharpness::GradientNorm => reading + 2.0 * around,
        Sharpness::LambdaMax => reading + 40.0 * around,
        _ => match three {
            Some((dimensions, _)) => {
                let plan = Plan::new(config.evaluation, &dimensions, rows)?;
                let blocks = plan
                    .work(&dimensions, config.loss.kind, rows)
                    .total()
                    .cost();
                // Beyond, hsr-core takes a second thread, which takes the two to some six tenths of the time.
                let alone = blocks < 1.6e7 || config.threads == Some(1);
                reading + around + if alone { blocks } else { 0.6 * blocks }
            }
            None => {
                let diagonal = config.sharpness == Sharpness::LambdaDiagonal;
                reading + around + deep_blocks(shapes, rows, diagonal)
            }
        },
    })
}

/// Forward pass, residuals and curvature, and the pullback: matrix products, what each hidden unit of a sample takes, and
/// what each of its outputs takes of it.
fn around_the_blocks(dimensions: &Dimensions, rows: usize) -> f64 {
    let Dimensions {
        inputs,
        hidden,
        outputs,
        ..
    } = *dimensions;
    let [n, d, h, k] = [rows, inputs, hidden, outputs].map(of);
    n * h * (2.0 * d + 5.0 * k + 1000.0 + 220.0 * k)
}

/// The same at any depth: two gradients of the loss, and the tangents of every seed layer with their adjoint
/// (theory-depth §3).
fn around_deep_blocks(shapes: &[LayerShape], rows: usize) -> f64 {
    let outputs = shapes.last().map_or(0.0, |last| of(last.outputs));
    let products = |shape: &LayerShape| of(shape.outputs) * of(shape.inputs);
    let seeds = shapes.iter().enumerate().map(|(l, seed)| {
        let up = shapes.iter().skip(l + 2).map(products).sum::<f64>();
        let down = shapes.iter().skip(l + 1).map(products).sum::<f64>();
        of(seed.outputs) * (up + down + outputs * outputs)
    });
    2.0 * 3.0 * pass(shapes, rows) + 3.0 * of(rows) * seeds.sum::<f64>()
}

/// The blocks at any depth, each in its cheaper evaluation (theory-depth §3).
fn deep_blocks(shapes: &[LayerShape], rows: usize, diagonal: bool) -> f64 {
    let n = of(rows);
    let triangle = |size: usize| 0.5 * of(size) * of(size + 1);
    let of_block = |k: usize, l: usize| {
        let (above, below) = (&shapes[k], &shapes[l]);
        let (m_k, m_l) = (above.inputs_extended(), below.inputs_extended());
        if m_k == 0 || m_l == 0 {
            return 0.0;
        }
        let (n_k, n_l) = (of(above.outputs), of(below.outputs));
        let (gram, assembled) = if k == l {
            let rows = triangle(below.outputs);
            (
                n * n * 1.5 * (rows + of(m_l)),
                3.0 * n * rows * triangle(m_l),
            )
        } else {
            let seeds = if k == l + 1 {
                n_k
            } else {
                n_k + of(above.inputs)
            };
            let pairs = 4.5 * n_l * seeds + of(below.inputs) + of(above.inputs);
            let rows = n_k * of(m_k) * n_l;
            (n * n * pairs, 3.0 * n * rows * of(m_l) + 6.0 * n * rows)
        };
        gram.min(assembled)
    };
    let blocks = (0..shapes.len()).flat_map(|k| {
        let lowest = if diagonal { k } else { 0 };
        (lowest..=k).map(move |l| of_block(k, l))
    });
    blocks.sum()
}

fn of(size: usize) -> f64 {
    size as f64
}

#[cfg(test)]
mod tests {
    use hsr_core::Activation;
    use hsr_core::depth::LayerShape;

    use crate::config::HsrConfig;
    use crate::subsample::Subsample;

    fn rows(subsample: Subsample, sizes: [usize; 3], samples: usize) -> usize {
        let config = HsrConfig::new().with_subsample(subsample);
        let [inputs, hidden, outputs] = sizes;
        let shapes = [
            LayerShape::new(inputs, hidden).with_activation(Activation::Tanh),
            LayerShape::new(hidden, outputs),
        ];
        super::rows(&config, &shapes, samples).unwrap()
    }

    #[test]
    fn small_networks_take_whole_batches_and_wide_ones_what_the_budget_allows() {
        // iris, wine, digits, and digits with every sample in one batch.
        for (sizes, samples) in [
            ([4, 16, 3], 64),
            ([13, 16, 3], 142),
            ([64, 16, 10], 64),
            ([64, 16, 10], 1437),
        ] {
            assert_eq!(rows(Subsample::Auto, sizes, samples), samples);
        }
        // The head of Burn's custom-training-loop.
        let wide = rows(Subsample::Auto, [1024, 1024, 10], 64);
        assert!((8..64).contains(&wide), "{wide}");
        assert_eq!(rows(Subsample::All, [1024, 1024, 10], 64), 64);
        assert_eq!(rows(Subsample::Rows(5), [1024, 1024, 10], 64), 5);
        assert_eq!(rows(Subsample::Rows(100), [4, 16, 3], 64), 64);
    }
}
