//! Landscapes: planes and lines through models, against the loss itself and against Taylor's theorem.

use core::ops::ControlFlow;

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{BatchNorm, BatchNormConfig, Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn_hsr::{Activation, ThreeLayerNet};
use burn_sharpness::landscape::{
    Curve, CurveConfig, Filter, Landscape, Line, Plane, Profile, filters, random_direction,
    three_layer_filters,
};
use burn_sharpness::{ParameterSpace, SharpnessError};
use hsr_core::{Batch, Dimensions, Network, OutputLoss, Targets, Workspace};
use hsr_tests::{relative_error, tensor, values};

fn device() -> Device {
    Device::flex().autodiff()
}

/// Reproducible numbers in −1…1.
fn noise(count: usize, seed: usize) -> Vec<f64> {
    (0..count)
        .map(|i| (1.7 * (i + 31 * seed) as f64 + 0.3).sin() * (0.9 * i as f64).cos())
        .collect()
}

fn layer(inputs: usize, outputs: usize, seed: usize) -> Linear {
    let at = |values: &[f64]| tensor(values, [inputs, outputs], &device(), DType::F64);
    let bias = tensor(&noise(outputs, seed + 1), [outputs], &device(), DType::F64);
    Linear {
        weight: Param::from_tensor(at(&noise(inputs * outputs, seed))),
        bias: Some(Param::from_tensor(bias)),
    }
}

/// Three inputs, four hidden units, two classes, f64.
fn net(seed: usize) -> ThreeLayerNet {
    ThreeLayerNet::new(layer(3, 4, seed), Activation::Tanh, layer(4, 2, seed + 10))
}

/// Eleven samples as batches of four, four and three.
type Samples = (Tensor<2>, Tensor<1, Int>);

fn batches() -> Vec<Samples> {
    let x = noise(33, 5);
    let labels: Vec<i64> = (0..11).map(|n| (n * n / 3) % 2).collect();
    [0..4, 4..8, 8..11]
        .into_iter()
        .map(|rows| {
            let x = &x[3 * rows.start..3 * rows.end];
            let y = labels[rows.clone()].to_vec();
            let y = TensorData::new(y, [rows.len()]);
            let plain = Device::flex();
            (
                tensor(x, [rows.len(), 3], &plain, DType::F64),
                Tensor::from_data(y, &plain),
            )
        })
        .collect()
}

/// All of some batches, as a data loader gives them.
fn all<'a, B>(batches: &'a [B]) -> impl FnMut() -> Batches<'a, B> {
    || batches.iter().map(Ok)
}

type Batches<'a, B> =
    std::iter::Map<std::slice::Iter<'a, B>, fn(&'a B) -> Result<&'a B, SharpnessError>>;

/// The batch's mean loss and its samples.
fn loss(model: &ThreeLayerNet, (x, y): &Samples) -> (Tensor<1>, f64) {
    let loss = CrossEntropyLossConfig::new().init(&x.device());
    (
        loss.forward(model.forward(x.clone()), y.clone()),
        y.dims()[0] as f64,
    )
}

/// The loss over all samples in closed form, at the parameters of a net in Burn's order.
fn closed_form(theta: &[f64]) -> f64 {
    let dimensions = Dimensions::new(3, 4, 2);
    // Burn's [in, out] to rows of units: W1, b1, W2, b2.
    let transposed = |values: &[f64], outputs: usize| -> Vec<f64> {
        (0..outputs)
            .flat_map(|unit| values.iter().skip(unit).step_by(outputs).copied())
            .collect()
    };
    let rows = [
        transposed(&theta[..12], 4),
        theta[12..16].to_vec(),
        transposed(&theta[16..24], 2),
        theta[24..].to_vec(),
    ]
    .concat();
    let network = Network::from_flat(dimensions, Activation::Tanh, &rows).unwrap();
    let x = noise(33, 5);
    let labels: Vec<usize> = (0..11).map(|n| (n * n / 3) % 2).collect();
    let batch = Batch::new(
        OutputLoss::SoftmaxCrossEntropy,
        &x,
        Targets::Classes(&labels),
    );
    Workspace::new().loss(&network, &batch).unwrap()
}

fn go_on(_: burn_sharpness::landscape::Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn plane(model: &ThreeLayerNet, seed: u64) -> Plane {
    let theta = ParameterSpace::of(model).unwrap().read(model).unwrap();
    let filters = filters(model);
    let directions = [0, 1].map(|i| random_direction(&theta, &filters, 2 * seed + i));
    Plane::new(directions).unwrap()
}

#[test]
fn every_point_of_a_plane_is_the_loss_there_with_each_batch_at_its_weight() {
    let model = net(3);
    let theta = ParameterSpace::of(&model).unwrap().read(&model).unwrap();
    let plane = plane(&model, 0)
        .with_points(5)
        .unwrap()
        .with_range(0.75)
        .unwrap();
    let found = plane
        .of_module(&model, all(&batches()), loss, go_on)
        .unwrap();
    assert_eq!(found.x, [-0.75, -0.375, 0.0, 0.375, 0.75]);
    assert_eq!(found.y, found.x);
    for (row, &y) in found.y.iter().enumerate() {
        for (column, &x) in found.x.iter().enumerate() {
            let displaced: Vec<f64> = plane
                .displacement([x, y])
                .iter()
                .zip(&theta)
                .map(|(d, t)| d + t)
                .collect();
            let expected = closed_form(&displaced);
            let error = (found.at(column, row) / expected - 1.0).abs();
            assert!(error < 1e-12, "{x} {y}: {error:e}");
        }
    }
    // The same from the closed form itself.
    let same = plane
        .of_function(&theta, |theta| Ok(closed_form(theta)), go_on)
        .unwrap();
    assert!(relative_error(&same.loss, &found.loss, 0.0) < 1e-12);
    // The last batch is shorter: its mean counts three samples, not four.
    let unweighted = plane
        .of_module(&model, all(&batches()), |m, b| (loss(m, b).0, 1.0), go_on)
        .unwrap();
    assert!(relative_error(&unweighted.loss, &found.loss, 0.0) > 1e-4);
}

#[test]
fn the_model_is_neither_changed_nor_tracked() {
    let model = net(3);
    let space = ParameterSpace::of(&model).unwrap();
    let before = space.read(&model).unwrap();
    let plane = plane(&model, 1).with_points(3).unwrap();
    let watched = |model: &ThreeLayerNet, batch: &Samples| {
        assert!(!model.hidden.weight.val().is_autodiff());
        loss(model, batch)
    };
    plane
        .of_module(&model, all(&batches()), watched, go_on)
        .unwrap();
    Line::default()
        .with_points(3)
        .unwrap()
        .of_modules([&model, &net(4)], all(&batches()), watched, go_on)
        .unwrap();
    assert_eq!(space.read(&model).unwrap(), before);
    assert!(model.hidden.weight.is_require_grad());
}

/// Batch normalisation updates its running statistics in every forward pass of training.
#[derive(Module, Debug)]
struct Normalized {
    linear: Linear,
    norm: BatchNorm,
}

#[test]
fn batch_normalisation_is_as_in_validation_and_its_statistics_stay() {
    let model = Normalized {
        linear: LinearConfig::new(3, 2).init(&device()),
        norm: BatchNormConfig::new(2).init(&device()),
    };
    let mean = |model: &Normalized, x: &Tensor<2>| {
        let normalized = model.norm.forward(model.linear.forward(x.clone()));
        (normalized.exp().mean(), 1.0)
    };
    let x = Tensor::<2>::from_data([[0.3, -1.0, 2.0], [1.0, 4.0, -2.0]], &Device::flex());
    let theta = ParameterSpace::of(&model).unwrap().read(&model).unwrap();
    let directions = [7, 8].map(|seed| random_direction(&theta, &filters(&model), seed));
    let plane = Plane::new(directions).unwrap().with_points(3).unwrap();
    let before = values(model.norm.running_mean.value());
    let found = plane
        .of_module(&model, all(std::slice::from_ref(&x)), mean, go_on)
        .unwrap();
    assert_eq!(values(model.norm.running_mean.value()), before);
    assert_eq!(found.at(1, 1), values(mean(&model.valid(), &x).0)[0]);
    // In training the same forward pass does change them.
    mean(&model, &Tensor::from_inner(x));
    assert_ne!(values(model.norm.running_mean.value_sync()), before);
}

#[test]
fn the_middle_of_a_plane_is_the_model_bit_for_bit_also_in_f32() {
    let model = LinearConfig::new(3, 2).init(&device());
    let theta = ParameterSpace::of(&model).unwrap().read(&model).unwrap();
    let directions = [7, 8].map(|seed| random_direction(&theta, &filters(&model), seed));
    let plane = Plane::new(directions).unwrap().with_points(3).unwrap();
    let x = Tensor::<2>::from_data([[0.3, -1.0, 2.0]], &Device::flex());
    let mean = |model: &Linear, x: &Tensor<2>| (model.forward(x.clone()).exp().mean(), 1.0);
    let found = plane
        .of_module(&model, all(std::slice::from_ref(&x)), mean, go_on)
        .unwrap();
    let own = values(mean(&model.valid(), &x).0)[0];
    assert_eq!(found.at(1, 1), own);
    assert_ne!(found.at(0, 1), own);
}

#[test]
fn along_eigenvectors_the_loss_rises_by_half_the_eigenvalue_times_the_square() {
    use hsr_lab::spectrum::eigenvalues;
    // A dense Hessian of the closed form by central differences of itself is too coarse: take hsr-core's, in its order.
    let dimensions = Dimensions::new(3, 4, 2);
    let theta = noise(dimensions.parameters(), 8);
    let x = noise(33, 5);
    let labels: Vec<usize> = (0..11).map(|n| (n * n / 3) % 2).collect();
    let batch = Batch::new(
        OutputLoss::SoftmaxCrossEntropy,
        &x,
        Targets::Classes(&labels),
    );
    let mut workspace = Workspace::new();
    let network = Network::from_flat(dimensions, Activation::Tanh, &theta).unwrap();
    let size = theta.len();
    let mut hessian = vec![0.0; size * size];
    workspace.hessian(&network, &batch, &mut hessian).unwrap();
    let lambda = *eigenvalues(&hessian, size).unwrap().last().unwrap();
    // Power iteration on H + I, whose largest eigenvalue in magnitude is λ_max + 1.
    let mut v = noise(size, 2);
    for _ in 0..20_000 {
        let product: Vec<f64> = hessian
            .chunks(size)
            .zip(&v)
            .map(|(row, own)| row.iter().zip(&v).map(|(h, v)| h * v).sum::<f64>() + own)
            .collect();
        let norm = product.iter().map(|v| v * v).sum::<f64>().sqrt();
        v = product.iter().map(|v| v / norm).collect();
    }
    let mut other = vec![0.0; size];
    other[0] = 1.0;
    let step = 1e-3;
    let plane = Plane::new([v, other])
        .unwrap()
        .with_points(3)
        .unwrap()
        .with_range(step)
        .unwrap();
    let at = |theta: &[f64]| {
        let network = Network::from_flat(dimensions, Activation::Tanh, theta)?;
        Ok(workspace.loss(&network, &batch)?)
    };
    let found = plane.of_function(&theta, at, go_on).unwrap();
    let second = found.at(0, 1) + found.at(2, 1) - 2.0 * found.at(1, 1);
    assert!(
        (second / (step * step) / lambda - 1.0).abs() < 1e-4,
        "{second}"
    );
}

/// Layers of every kind that filters are told apart for.
#[derive(Module, Debug)]
struct Mixed {
    conv: Conv2d,
    linear: Linear,
    table: Embedding,
    scale: Param<Tensor<1>>,
}

#[test]
fn filters_are_the_weights_into_a_unit_in_every_layout() {
    let device = device();
    let mixed = Mixed {
        conv: Conv2dConfig::new([2, 3], [2, 2]).init(&device),
        linear: LinearConfig::new(4, 5).init(&device),
        table: EmbeddingConfig::new(6, 2).init(&device),
        scale: Param::from_tensor(Tensor::ones([7], &device)),
    };
    let space = ParameterSpace::of(&mixed).unwrap();
    let found = filters(&mixed);
    let start = |path: &str| {
        let parameter = space.parameters().iter().find(|p| p.path == path);
        parameter.unwrap().range.start
    };
    let filter = |start: usize, len: usize, stride: usize| Filter { start, len, stride };
    let mut expected: Vec<Filter> = Vec::new();
    // Output channels of 2·2·2, columns of 4, rows of 2; nothing of biases and the scale.
    expected.extend((0..3).map(|channel| filter(start("conv.weight") + 8 * channel, 8, 1)));
    expected.extend((0..5).map(|unit| filter(start("linear.weight") + unit, 4, 5)));
    expected.extend((0..6).map(|row| filter(start("table.weight") + 2 * row, 2, 1)));
    assert_eq!(found, expected);

    // Frozen parameters are no part of the space, and filters keep their places in what is left.
    let mut frozen = mixed;
    frozen.conv = frozen.conv.no_grad();
    let space = ParameterSpace::of(&frozen).unwrap();
    let weight = space
        .parameters()
        .iter()
        .find(|p| p.path == "linear.weight");
    assert_eq!(filters(&frozen)[0].start, weight.unwrap().range.start);
}

#[test]
fn every_filter_of_a_random_direction_has_the_length_of_the_models() {
    let model = net(3);
    let theta = ParameterSpace::of(&model).unwrap().read(&model).unwrap();
    let filters = filters(&model);
    let direction = random_direction(&theta, &filters, 5);
    assert_eq!(filters.len(), 4 + 2);
    let norm = |values: &[f64], filter: &Filter| -> f64 {
        filter
            .indices()
            .map(|i| values[i] * values[i])
            .sum::<f64>()
            .sqrt()
    };
    for filter in &filters {
        assert!((norm(&direction, filter) / norm(&theta, filter) - 1.0).abs() < 1e-14);
    }
    // The filters of a Linear are columns of Burn's [in, out]: unit 1 of the hidden layer has weights 1, 5, 9.
    let column: f64 = [1, 5, 9].iter().map(|&i| direction[i] * direction[i]).sum();
    let own: f64 = [1, 5, 9].iter().map(|&i| theta[i] * theta[i]).sum();
    assert!((column / own - 1.0).abs() < 1e-13);
    // Biases do not move.
    assert!(
        direction[12..16]
            .iter()
            .chain(&direction[24..])
            .all(|&v| v == 0.0)
    );
    assert!(direction[..12].iter().all(|&v| v != 0.0));

    // A rescaled layer has a direction rescaled alike, so the landscape of the same function is the same.
    let scaled: Vec<f64> = theta.iter().map(|v| 3.0 * v).collect();
    let same: Vec<f64> = direction.iter().map(|v| 3.0 * v).collect();
    assert!(relative_error(&random_direction(&scaled, &filters, 5), &same, 0.0) < 1e-14);

    // A filter of zeros stays where it is.
    let mut dead = theta.clone();
    [1, 5, 9].iter().for_each(|&i| dead[i] = 0.0);
    let direction = random_direction(&dead, &filters, 5);
    assert!([1, 5, 9].iter().all(|&i| direction[i] == 0.0));

    let rows = three_layer_filters(&Dimensions::new(3, 4, 2));
    let starts: Vec<usize> = rows.iter().map(|filter| filter.start).collect();
    assert_eq!(starts, [0, 3, 6, 9, 16, 20]);
    assert!(rows.iter().all(|filter| filter.stride == 1));
    assert_eq!((rows[0].len, rows[5].len), (3, 4));
}

#[test]
fn the_seed_decides_the_direction_and_its_values_are_normal() {
    let theta = vec![1.0; 20_000];
    let all = [Filter {
        start: 0,
        len: 20_000,
        stride: 1,
    }];
    let [a, again, b] = [3, 3, 4].map(|seed| random_direction(&theta, &all, seed));
    assert_eq!(a, again);
    assert_ne!(a, b);
    // One filter of norm √n: values of variance 1, uncorrelated between seeds, with the fourth moment 3.
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / 20_000.0;
    assert!(mean(&mut a.iter().copied()).abs() < 0.03);
    assert!(mean(&mut a.iter().zip(&b).map(|(a, b)| a * b)).abs() < 0.03);
    assert!((mean(&mut a.iter().map(|v| v.powi(4))) - 3.0).abs() < 0.2);
}

#[test]
fn the_line_goes_from_one_model_to_the_other_and_its_barrier_is_the_rise_over_the_chord() {
    let (first, second) = (net(3), net(4));
    let line = Line::default()
        .with_ends(-0.5, 1.5)
        .unwrap()
        .with_points(9)
        .unwrap();
    let found = line
        .of_modules([&first, &second], all(&batches()), loss, go_on)
        .unwrap();
    let theta = [&first, &second].map(|model| {
        let space = ParameterSpace::of(model).unwrap();
        space.read(model).unwrap()
    });
    assert_eq!(found.t, [-0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5]);
    for (t, loss) in found.t.iter().zip(&found.loss) {
        let point: Vec<f64> = theta[0]
            .iter()
            .zip(&theta[1])
            .map(|(a, b)| (1.0 - t) * a + t * b)
            .collect();
        assert!((loss / closed_form(&point) - 1.0).abs() < 1e-12);
    }
    assert!((found.ends[0] / closed_form(&theta[0]) - 1.0).abs() < 1e-13);
    assert!((found.ends[1] / closed_form(&theta[1]) - 1.0).abs() < 1e-12);
    let same = line
        .of_function(
            [&theta[0], &theta[1]],
            |theta| Ok(closed_form(theta)),
            go_on,
        )
        .unwrap();
    assert!(relative_error(&same.loss, &found.loss, 0.0) < 1e-12);

    // A chord from 1 to 3; at t = 0.5 the loss is 4, two above it; outside of 0…1 nothing counts.
    let by_hand = Profile {
        t: vec![-0.5, 0.0, 0.25, 0.5, 1.0, 1.5],
        loss: vec![99.0, 1.0, 1.2, 4.0, 3.0, 99.0],
        ends: [1.0, 3.0],
    };
    let barrier = by_hand.barrier();
    assert_eq!((barrier.height, barrier.t), (2.0, 0.5));
    let valley = Profile {
        loss: vec![99.0, 1.0, 1.2, 1.9, 3.0, 99.0],
        ..by_hand.clone()
    };
    assert_eq!(valley.barrier().height, 0.0);
    let wall = Profile {
        loss: vec![1.0, 1.0, f64::NAN, 1.0, 3.0, 1.0],
        ..by_hand
    };
    assert_eq!(wall.barrier().height, f64::INFINITY);
}

#[test]
fn a_curve_is_the_straight_line_until_it_is_trained() {
    let (first, second) = (net(3), net(4));
    let space = ParameterSpace::of(&first).unwrap();
    let curve = Curve::between([&first, &second]).unwrap();
    let line = Line::default().with_ends(0.0, 1.0).unwrap();
    let line = line.with_points(5).unwrap();
    let expected = line
        .of_modules([&first, &second], all(&batches()), loss, go_on)
        .unwrap();
    let found = curve
        .profile(5, |theta| Ok(closed_form(theta)), go_on)
        .unwrap();
    assert_eq!(found.t, expected.t);
    assert!(relative_error(&found.loss, &expected.loss, 0.0) < 1e-12);
    assert_eq!(found.ends, [found.loss[0], found.loss[4]]);
    for t in [0.0, 0.3, 1.0] {
        let there = curve.module(&first, t).unwrap();
        let error = relative_error(&space.read(&there).unwrap(), &curve.point(t), 1.0);
        assert!(error < 1e-15, "{t}: {error:e}");
    }
}

/// The optimizer, written once more.
#[test]
fn the_steps_of_a_curve_are_those_of_adam() {
    let ends = [[0.0, 2.0, -1.0], [1.0, 0.5, 3.0]];
    let goal = [0.7, -0.4];
    let options = CurveConfig {
        steps: 6,
        learning_rate: 0.2,
        seed: 5,
    };
    let mut curve = Curve::straight([&ends[0], &ends[1]]).unwrap();
    let mut points = Vec::new();
    // Along the first coordinate nothing is to be had, so that φ(t) stays t there.
    let gradient = |point: &[f64], gradient: &mut [f64]| {
        points.push(point.to_vec());
        gradient[0] = 0.0;
        (1..3).for_each(|i| gradient[i] = 3.0 * (point[i] - goal[i - 1]));
        Ok(1.0)
    };
    curve.train(&options, gradient, go_on).unwrap();
    let mut control = [0.5, 1.25, 1.0];
    let (mut m, mut v) = ([0.0; 3], [0.0; 3]);
    assert_eq!(points.len(), 6);
    for (step, point) in points.iter().enumerate() {
        let t = point[0];
        assert!(0.0 < t && t < 1.0 && (step == 0 || t != points[step - 1][0]));
        for i in 1..3 {
            let here = (1.0 - t).powi(2) * ends[0][i]
                + 2.0 * t * (1.0 - t) * control[i]
                + t * t * ends[1][i];
            assert!((point[i] - here).abs() < 1e-14, "{step}");
            let g = 2.0 * t * (1.0 - t) * 3.0 * (here - goal[i - 1]);
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.999 * v[i] + 0.001 * g * g;
            let corrected = m[i] / (1.0 - 0.9_f64.powi(step as i32 + 1));
            let square: f64 = v[i] / (1.0 - 0.999_f64.powi(step as i32 + 1));
            let rate = 0.2 * (1.0 - step as f64 / 6.0);
            control[i] -= rate * corrected / (square.sqrt() + 1e-8);
        }
    }
    assert!(relative_error(curve.control(), &control, 0.0) < 1e-13);
}

/// θ in hsr-core's order of a network that fits the samples, found by gradient descent.
fn fitted(samples: &Batch<f64>, dimensions: Dimensions) -> Vec<f64> {
    let mut theta = noise(26, 8);
    let mut gradient = vec![0.0; 26];
    let mut workspace = Workspace::new();
    for _ in 0..3000 {
        let network = Network::from_flat(dimensions, Activation::Tanh, &theta).unwrap();
        workspace
            .loss_gradient(&network, samples, &mut gradient)
            .unwrap();
        theta
            .iter_mut()
            .zip(&gradient)
            .for_each(|(t, g)| *t -= 0.5 * g);
    }
    theta
}

#[test]
fn a_trained_curve_leads_around_the_barrier_between_permuted_copies_of_a_network() {
    let dimensions = Dimensions::new(3, 4, 2);
    let x = noise(33, 5);
    let labels: Vec<usize> = (0..11).map(|n| (n * n / 3) % 2).collect();
    let loss = OutputLoss::SoftmaxCrossEntropy;
    let samples = Batch::new(loss, &x, Targets::Classes(&labels));
    let first = fitted(&samples, dimensions);
    // Hidden units in another order: the same function.
    let order = [2, 3, 1, 0];
    let mut second = first.clone();
    for (place, from) in order.into_iter().enumerate() {
        second[3 * place..3 * place + 3].copy_from_slice(&first[3 * from..3 * from + 3]);
        second[12 + place] = first[12 + from];
        for k in 0..2 {
            second[16 + 4 * k + place] = first[16 + 4 * k + from];
        }
    }
    let mut workspace = Workspace::new();
    let mut of = |theta: &[f64], gradient: &mut [f64]| -> Result<f64, SharpnessError> {
        let network = Network::from_flat(dimensions, Activation::Tanh, theta)?;
        Ok(workspace.loss_gradient(&network, &samples, gradient)?)
    };
    let mut rest = vec![0.0; 26];
    let ends = [&first, &second].map(|theta| of(theta, &mut rest).unwrap());
    assert!(
        (ends[0] - ends[1]).abs() < 1e-15 && ends[0] < 0.01,
        "{ends:?}"
    );
    let mut curve = Curve::straight([&first, &second]).unwrap();
    type Of<'a> = dyn FnMut(&[f64], &mut [f64]) -> Result<f64, SharpnessError> + 'a;
    let barrier = |curve: &Curve, of: &mut Of| {
        let mut rest = vec![0.0; 26];
        let profile = curve.profile(31, |theta| of(theta, &mut rest), go_on);
        profile.unwrap().barrier().height
    };
    let line = barrier(&curve, &mut of);
    let options = CurveConfig::default();
    curve.train(&options, &mut of, go_on).unwrap();
    let bent = barrier(&curve, &mut of);
    println!("{line} {bent}");
    assert!(line > 0.3 && bent < 0.1 * line, "{line} {bent}");
    // The seed decides.
    let mut again = Curve::straight([&first, &second]).unwrap();
    again.train(&options, &mut of, go_on).unwrap();
    assert_eq!(again, curve);
    let other = CurveConfig { seed: 1, ..options };
    let mut again = Curve::straight([&first, &second]).unwrap();
    again.train(&other, &mut of, go_on).unwrap();
    assert_ne!(again, curve);
}

#[test]
fn a_curve_of_modules_takes_a_batch_a_step_and_leaves_the_modules_as_they_are() {
    let (first, second) = (net(3), net(4));
    let space = ParameterSpace::of(&first).unwrap();
    let before = space.read(&first).unwrap();
    let batches: Vec<Samples> = batches()
        .into_iter()
        .map(|(x, y)| (x.to_device(&device()), y.to_device(&device())))
        .collect();
    let options = CurveConfig {
        steps: 7,
        ..CurveConfig::default()
    };
    let mut curve = Curve::between([&first, &second]).unwrap();
    let mut own = curve.clone();
    curve
        .train_module(&options, &first, all(&batches), loss, go_on)
        .unwrap();
    let mut number = 0;
    let gradient = |point: &[f64], gradient: &mut [f64]| {
        let direction: Vec<f64> = point.iter().zip(&before).map(|(p, b)| p - b).collect();
        let there = space.displaced(&first, &direction, 1.0)?;
        let (loss, _) = loss(&there, &batches[number % 3]);
        number += 1;
        let grads = burn::optim::GradientsParams::from_grads(loss.backward(), &there);
        gradient.copy_from_slice(&space.read_gradients(&there, &grads)?);
        Ok(0.0)
    };
    own.train(&options, gradient, go_on).unwrap();
    assert_eq!((number, &own), (7, &curve));
    assert_eq!(space.read(&first).unwrap(), before);
    assert_ne!(
        curve.control(),
        Curve::between([&first, &second]).unwrap().control()
    );

    let mut refuse = |options: &CurveConfig, batches: &[Samples], message: &str| {
        let trained = curve.train_module(options, &first, all(batches), loss, go_on);
        assert_eq!(trained.unwrap_err().to_string(), message);
    };
    refuse(&options, &[], "batches is 0, expected 1 or more");
    let none = CurveConfig {
        learning_rate: 0.0,
        ..options
    };
    refuse(
        &none,
        &batches,
        "learning_rate is 0, expected a positive number",
    );
    let error = Curve::straight([&[1.0], &[1.0, 2.0]]).unwrap_err();
    assert_eq!(error.to_string(), "the second end has 2 values, expected 1");
    let error = Curve::straight([&[1.0], &[f64::NAN]]).unwrap_err();
    assert_eq!(error.to_string(), "an end of the curve is not finite");
    let error = Curve::straight([&[1.0], &[2.0]]).unwrap();
    let error = error.profile(1, |_| Ok(0.0), go_on).unwrap_err();
    assert_eq!(error.to_string(), "points is 1, expected at least 2");
    let narrow = ThreeLayerNet::new(layer(3, 2, 1), Activation::Tanh, layer(2, 2, 2));
    let error = Curve::between([&net(3), &narrow]).unwrap_err();
    assert!(
        error.to_string().contains("hidden.weight [3, 2]"),
        "{error}"
    );
    assert!(curve.module(&narrow, 0.5).is_err());
    let mut straight = Curve::straight([&[1.0], &[2.0]]).unwrap();
    let stop = |_| ControlFlow::Break(());
    let filled = |value: f64| {
        move |_: &[f64], gradient: &mut [f64]| {
            gradient.fill(value);
            Ok(1.0)
        }
    };
    let stopped = straight.train(&options, filled(1.0), stop);
    assert!(matches!(
        stopped,
        Err(SharpnessError::Stopped { done: 1, total: 7 })
    ));
    let broken = straight.train(&options, filled(f64::NAN), go_on);
    assert!(matches!(broken, Err(SharpnessError::NotFinite { .. })));
}

#[test]
fn a_plane_through_three_models_holds_all_three() {
    let models = [net(3), net(4), net(6)];
    let thetas = models
        .each_ref()
        .map(|model| ParameterSpace::of(model).unwrap().read(model).unwrap());
    let through = Plane::through([&thetas[0], &thetas[1], &thetas[2]]).unwrap();
    for (theta, place) in thetas.iter().zip(through.coordinates) {
        let there: Vec<f64> = through
            .plane
            .displacement(place)
            .iter()
            .zip(&through.middle)
            .map(|(d, m)| d + m)
            .collect();
        assert!(relative_error(&there, theta, 0.0) < 1e-13);
        assert!(place.iter().all(|v| v.abs() <= 1.0));
    }
    // The first two lie beside each other along the first axis, and the farthest at its end.
    let [first, second, _] = through.coordinates;
    assert!((first[1] - second[1]).abs() < 1e-13 && first[0] < second[0]);
    let coordinates = through.coordinates;
    let farthest = coordinates.as_flattened().iter();
    let farthest = farthest.fold(0.0, |max: f64, v| max.max(v.abs()));
    assert!((farthest - 1.0).abs() < 1e-15);
    // Axes are orthogonal and of one length.
    let [x, y] = [[1.0, 0.0], [0.0, 1.0]].map(|at| through.plane.displacement(at));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    assert!(dot(&x, &y).abs() < 1e-13 * dot(&x, &x));
    assert!((dot(&x, &x) / dot(&y, &y) - 1.0).abs() < 1e-13);
    assert_eq!(through.plane.coordinates()[0], -1.25);
    let twice: Vec<f64> = thetas[0].iter().map(|v| 2.0 * v).collect();
    let thrice: Vec<f64> = thetas[0].iter().map(|v| 3.0 * v).collect();
    let error = Plane::through([&thetas[0], &twice, &thrice]).unwrap_err();
    assert!(error.to_string().contains("more than 0"), "{error}");
    assert!(Plane::through([&thetas[0], &thetas[0], &twice]).is_err());
    assert!(Plane::through([&thetas[0], &thetas[1][1..], &twice]).is_err());
}

#[test]
fn an_observer_hears_of_every_point_and_can_stop() {
    let model = net(3);
    let plane = plane(&model, 0).with_points(3).unwrap();
    let mut heard = Vec::new();
    let stopped = plane.of_module(&model, all(&batches()), loss, |progress| {
        heard.push((progress.done, progress.total));
        if progress.done == 4 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert_eq!(heard, [(1, 9), (2, 9), (3, 9), (4, 9)]);
    assert!(matches!(
        stopped,
        Err(SharpnessError::Stopped { done: 4, total: 9 })
    ));
}

#[test]
fn csv_is_read_back_exactly() {
    let landscape = Landscape {
        x: vec![-0.1, 0.1],
        y: vec![-0.3, 0.3],
        loss: vec![1.0 / 3.0, 2.0, 1e-300, f64::INFINITY],
    };
    let mut csv = Vec::new();
    landscape.write_csv(&mut csv).unwrap();
    let text = String::from_utf8(csv).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "x,y,loss");
    assert_eq!(lines[1], "-0.1,-0.3,0.3333333333333333");
    assert_eq!(lines[2], "0.1,-0.3,2");
    let last: Vec<f64> = lines[3].split(',').map(|v| v.parse().unwrap()).collect();
    assert_eq!(last, [-0.1, 0.3, 1e-300]);
    assert!(lines[4].ends_with("inf") && lines.len() == 5);
    assert_eq!(landscape.lowest(), Some((1e-300, [-0.1, 0.3])));
}

#[test]
fn bad_options_and_other_models_are_refused_in_words() {
    let plane = || Plane::new([vec![1.0, 0.0], vec![0.0, 1.0]]).unwrap();
    for (error, message) in [
        (
            plane().with_points(1).unwrap_err(),
            "points is 1, expected at least 2",
        ),
        (
            plane().with_range(0.0).unwrap_err(),
            "range is 0, expected a positive number",
        ),
        (
            plane().with_range(f64::NAN).unwrap_err(),
            "range is NaN, expected a positive number",
        ),
        (
            Plane::new([vec![1.0], vec![1.0, 2.0]]).unwrap_err(),
            "the second direction has 2 values, expected 1",
        ),
        (
            Line::default().with_ends(0.1, 1.0).unwrap_err(),
            "from is 0.1, expected a number, 0 or less",
        ),
        (
            plane()
                .of_function(&[0.0; 3], |_| Ok(0.0), go_on)
                .unwrap_err(),
            "a direction has 2 values, expected 3",
        ),
    ] {
        assert_eq!(error.to_string(), message);
    }
    let narrow = ThreeLayerNet::new(layer(3, 2, 1), Activation::Tanh, layer(2, 2, 2));
    let error = Line::default()
        .of_modules([&net(3), &narrow], all(&batches()), loss, go_on)
        .unwrap_err();
    assert!(
        error.to_string().contains("hidden.weight [3, 2]"),
        "{error}"
    );
    assert!(
        error.to_string().contains("hidden.weight [3, 4]"),
        "{error}"
    );
    let model = net(3);
    let small = self::plane(&model, 0).with_points(2).unwrap();
    let error = small
        .of_module(&model, all(&batches()), |m, b| (loss(m, b).0, 0.0), go_on)
        .unwrap_err();
    assert!(error.to_string().contains("weight"), "{error}");
}
