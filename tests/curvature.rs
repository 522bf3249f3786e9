//! Hessian-vector products of any module by differences of gradients, against closed forms, hyper-dual numbers and
//! what PyTorch's libraries say; batches of unequal size; a module that stays as it was.

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::module::{Module, Param, RunningState};
use burn::nn::{BatchNorm, BatchNormConfig, Linear};
use burn::tensor::activation::{log_softmax, tanh};
use burn::tensor::{DType, Device, Tensor, TensorData};
use burn_sharpness::operator::{DenseOperator, from_fn};
use burn_sharpness::spectrum::{DenseSpectrum, assemble};
use burn_sharpness::{FiniteDifferenceHessian, ParameterSpace, SharpnessError, SymmetricOperator};
use hsr_core::{Activation, Dimensions, Network, OutputLoss, Targets, Workspace};
use hsr_tests::mlp::{Batch, Mlp, Problem, noise};
use hsr_tests::{backends, relative_error, tensor, values};

const F64: DType = DType::F64;

fn device() -> Device {
    Device::flex().autodiff()
}

fn whole(problem: &Problem, dtype: DType) -> FiniteDifferenceHessian<'static, Mlp> {
    let batch = problem.batch(&device(), dtype);
    let model = problem.model(&device(), dtype);
    FiniteDifferenceHessian::new(&model, move |model: &Mlp| model.loss(&batch)).unwrap()
}

/// hsr-core's order of a three-layer network's parameters for each of Burn's.
fn closed_form_order(sizes: &[usize]) -> Vec<usize> {
    let &[d, h, k] = sizes else {
        panic!("three layers")
    };
    let weight = |start: usize, inputs: usize, outputs: usize| {
        (0..inputs).flat_map(move |i| (0..outputs).map(move |j| start + j * inputs + i))
    };
    let output = (d + 1) * h;
    weight(0, d, h)
        .chain(d * h..output)
        .chain(weight(output, h, k))
        .chain(output + h * k..output + (h + 1) * k)
        .collect()
}

/// The closed-form Hessian of a three-layer problem in Burn's order.
fn closed_form(problem: &Problem) -> Vec<f64> {
    let order = closed_form_order(&problem.sizes);
    let size = order.len();
    let mut theta = vec![0.0; size];
    for (burn, &core) in order.iter().enumerate() {
        theta[core] = problem.theta[burn];
    }
    let dimensions = Dimensions {
        inputs: problem.sizes[0],
        hidden: problem.sizes[1],
        outputs: problem.sizes[2],
        hidden_bias: true,
        output_bias: true,
    };
    let network = Network::from_flat(dimensions, Activation::Tanh, &theta).unwrap();
    let targets = Targets::Classes(&problem.y);
    let batch = hsr_core::Batch::new(OutputLoss::SoftmaxCrossEntropy, &problem.x, targets);
    let mut hessian = vec![0.0; size * size];
    let mut workspace = Workspace::new();
    workspace.hessian(&network, &batch, &mut hessian).unwrap();
    let entry = |(i, j): (usize, usize)| hessian[order[i] * size + order[j]];
    (0..size * size)
        .map(|n| entry((n / size, n % size)))
        .collect()
}

fn apply(operator: &mut impl SymmetricOperator, v: &[f64]) -> Vec<f64> {
    let mut product = vec![f64::NAN; v.len()];
    operator.apply(v, &mut product).unwrap();
    product
}

fn times(matrix: &[f64], v: &[f64]) -> Vec<f64> {
    let row = |row: &[f64]| row.iter().zip(v).map(|(a, v)| a * v).sum();
    matrix.chunks(v.len()).map(row).collect()
}

#[test]
fn products_of_three_layers_are_those_of_the_closed_form() {
    for (sizes, scale) in [([3, 5, 4], 0.7), ([2, 8, 3], 1.5), ([6, 2, 2], 0.1)] {
        let problem = Problem::new(&sizes, 17, scale);
        let exact = closed_form(&problem);
        let found = assemble(&mut whole(&problem, F64)).unwrap();
        let error = relative_error(&found, &exact, 0.0);
        assert!(error < 1e-8, "{sizes:?}: {error}");
    }
}

#[test]
fn products_of_deeper_networks_are_those_of_hyper_dual_numbers() {
    for (sizes, scale) in [(&[3, 5, 4, 3][..], 0.9), (&[2, 3, 3, 3, 2], 1.3)] {
        let problem = Problem::new(sizes, 13, scale);
        let exact = problem.hessian();
        let mut operator = whole(&problem, F64);
        let found = assemble(&mut operator).unwrap();
        let error = relative_error(&found, &exact, 0.0);
        assert!(error < 1e-8, "{sizes:?}: {error}");
        let gradient = operator.gradient().unwrap();
        let error = relative_error(&gradient, &problem.gradient(), 0.0);
        assert!(error < 1e-13, "{sizes:?}: {error}");
    }
    // The judge itself, against the closed form.
    let problem = Problem::new(&[3, 4, 3], 9, 0.8);
    let error = relative_error(&problem.hessian(), &closed_form(&problem), 0.0);
    assert!(error < 1e-13, "{error}");
}

#[test]
fn the_error_of_a_product_is_of_the_size_that_the_operator_says() {
    for scale in [0.3, 1.0, 3.0] {
        let problem = Problem::new(&[4, 9, 7, 5], 15, scale);
        let exact = problem.hessian();
        let spectrum = DenseSpectrum::of_matrix(&exact, problem.theta.len()).unwrap();
        let values = &spectrum.eigenvalues;
        let norm = values.iter().fold(0.0, |max: f64, v| max.max(v.abs()));
        // The directions along which the Hessian changes fastest.
        for i in [0, values.len() - 1] {
            let (v, value) = (spectrum.eigenvector(i), values[i]);
            for (dtype, most) in [(F64, 4e-10), (DType::F32, 3e-4)] {
                let mut operator = whole(&problem, dtype);
                let product = apply(&mut operator, v);
                let squares = product.iter().zip(v).map(|(p, v)| (p - value * v).powi(2));
                let error = squares.sum::<f64>().sqrt() / norm;
                assert!(error < operator.accuracy(), "{dtype:?} {scale}: {error}");
                assert!(operator.accuracy() < most, "{}", operator.accuracy());
                // The step is not far from the best: none is three times better.
                for factor in [0.1, 0.3, 3.0, 10.0] {
                    let step = factor * operator.step();
                    let mut other = whole(&problem, dtype).with_step(step).unwrap();
                    let product = apply(&mut other, v);
                    let squares = product.iter().zip(v).map(|(p, v)| (p - value * v).powi(2));
                    let of_other = squares.sum::<f64>().sqrt() / norm;
                    assert!(
                        error < 3.0 * of_other,
                        "{dtype:?} {scale} {factor}: {error} {of_other}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_product_scales_with_its_vector_over_the_whole_range_of_numbers() {
    let problem = Problem::new(&[3, 4, 3, 2], 7, 0.8);
    let mut operator = whole(&problem, F64);
    let v = noise(problem.theta.len(), 3);
    let product = apply(&mut operator, &v);
    for scale in [1e-300, -1e-7, 1e5, 1e290] {
        let scaled: Vec<f64> = v.iter().map(|v| scale * v).collect();
        let found: Vec<f64> = apply(&mut operator, &scaled)
            .iter()
            .map(|p| p / scale)
            .collect();
        let error = relative_error(&found, &product, 0.0);
        assert!(error < 1e-9, "{scale}: {error}");
    }
    let zero = apply(&mut operator, &vec![0.0; v.len()]);
    assert!(zero.iter().all(|&v| v == 0.0));
}

#[test]
fn products_are_right_on_every_backend() {
    let problem = Problem::new(&[3, 5, 4, 3], 13, 0.9);
    let v = noise(problem.theta.len(), 6);
    let exact = times(&problem.hessian(), &v);
    for (backend, device, dtypes) in backends() {
        for dtype in dtypes {
            let device = device.clone().autodiff();
            let batch = problem.batch(&device, dtype);
            let model = problem.model(&device, dtype);
            let loss = |model: &Mlp| model.loss(&batch);
            let mut operator = FiniteDifferenceHessian::new(&model, loss).unwrap();
            let error = relative_error(&apply(&mut operator, &v), &exact, 0.0);
            let allowed = if dtype == F64 { 1e-9 } else { 1e-3 };
            assert!(error < allowed, "{backend} {dtype:?}: {error}");
        }
    }
}

#[test]
fn batches_of_unequal_size_give_the_hessian_of_all_samples() {
    let problem = Problem::new(&[3, 5, 4, 3], 23, 0.9);
    let model = problem.model(&device(), F64);
    let batches = problem.batches(5, &device(), F64);
    let sizes: Vec<usize> = batches.iter().map(Batch::samples).collect();
    assert_eq!(sizes, [5, 5, 5, 5, 3]);
    let exact = problem.hessian();
    let all = || batches.iter().map(Ok::<_, SharpnessError>);

    let loss = |model: &Mlp, batch: &Batch| (model.loss(batch), batch.samples() as f64);
    let mut mean = FiniteDifferenceHessian::of_mean(&model, all, loss).unwrap();
    let error = relative_error(&assemble(&mut mean).unwrap(), &exact, 0.0);
    assert!(error < 1e-8, "{error}");
    let gradient = mean.gradient().unwrap();
    let error = relative_error(&gradient, &problem.gradient(), 0.0);
    assert!(error < 1e-13, "{error}");

    let loss = |model: &Mlp, batch: &Batch| (model.loss(batch), batch.samples() as f64);
    let mut sum = FiniteDifferenceHessian::of_sum(&model, all, loss).unwrap();
    let found: Vec<f64> = assemble(&mut sum)
        .unwrap()
        .iter()
        .map(|v| v / 23.0)
        .collect();
    let error = relative_error(&found, &exact, 0.0);
    assert!(error < 1e-8, "{error}");

    // The mean of the batches' means is another one.
    let loss = |model: &Mlp, batch: &Batch| (model.loss(batch), 1.0);
    let mut wrong = FiniteDifferenceHessian::of_mean(&model, all, loss).unwrap();
    let error = relative_error(&assemble(&mut wrong).unwrap(), &exact, 0.0);
    assert!(error > 1e-3, "{error}");
}

/// Rows of numbers and their class.
type Item = (Vec<f64>, i64);

struct Batches(DType);

impl Batcher<Item, Batch> for Batches {
    fn batch(&self, items: Vec<Item>, device: &Device) -> Batch {
        let (rows, y): (Vec<_>, Vec<_>) = items.into_iter().unzip();
        let shape = [rows.len(), rows[0].len()];
        Batch {
            x: tensor(&rows.concat(), shape, device, self.0),
            y: Tensor::from_data(TensorData::new(y, [shape[0]]), device),
        }
    }
}

#[test]
fn a_data_loader_of_burn_is_a_source_of_batches() {
    let problem = Problem::new(&[3, 5, 4, 3], 11, 0.9);
    let items = problem.x.chunks(3).zip(&problem.y);
    let items: Vec<Item> = items.map(|(x, &y)| (x.to_vec(), y as i64)).collect();
    let loader = DataLoaderBuilder::new(Batches(F64))
        .batch_size(4)
        .set_device(device())
        .build(InMemDataset::new(items));
    let model = problem.model(&device(), F64);
    let loss = |model: &Mlp, batch: Batch| (model.loss(&batch), batch.samples() as f64);
    let mut operator = FiniteDifferenceHessian::of_mean(&model, || loader.iter(), loss).unwrap();
    let error = relative_error(&assemble(&mut operator).unwrap(), &problem.hessian(), 0.0);
    assert!(error < 1e-8, "{error}");
}

#[test]
fn frozen_parameters_are_no_coordinates() {
    let problem = Problem::new(&[3, 4, 3, 2], 9, 0.9);
    let mut model = problem.model(&device(), F64);
    model.layers[1] = model.layers[1].clone().no_grad();
    let batch = problem.batch(&device(), F64);
    let mut operator =
        FiniteDifferenceHessian::new(&model, |model: &Mlp| model.loss(&batch)).unwrap();
    let paths: Vec<&str> = operator
        .space()
        .parameters()
        .iter()
        .map(|p| p.path.as_str())
        .collect();
    assert_eq!(
        paths,
        [
            "layers.0.weight",
            "layers.0.bias",
            "layers.2.weight",
            "layers.2.bias"
        ]
    );
    let (exact, size) = (problem.hessian(), problem.theta.len());
    let kept: Vec<usize> = (0..16).chain(31..39).collect();
    let block: Vec<f64> = kept
        .iter()
        .flat_map(|&i| kept.iter().map(move |&j| (i, j)))
        .map(|(i, j)| exact[i * size + j])
        .collect();
    let error = relative_error(&assemble(&mut operator).unwrap(), &block, 0.0);
    assert!(error < 1e-8, "{error}");
}

/// A network whose training updates running statistics.
#[derive(Module, Debug)]
struct Normalized {
    first: Linear,
    norm: BatchNorm,
    last: Linear,
}

impl Normalized {
    fn new(device: &Device, dtype: DType) -> Self {
        let layer = |inputs: usize, outputs: usize, seed: usize| Linear {
            weight: Param::from_tensor(tensor(
                &noise(inputs * outputs, seed),
                [inputs, outputs],
                device,
                dtype,
            )),
            bias: None,
        };
        let ones = |value: f64| tensor(&[value; 4], [4], device, dtype);
        let mut norm = BatchNormConfig::new(4).init(device);
        norm.gamma = Param::from_tensor(ones(1.1));
        norm.beta = Param::from_tensor(ones(0.2));
        norm.running_mean = RunningState::new(ones(0.0));
        norm.running_var = RunningState::new(ones(1.0));
        Self {
            first: layer(3, 4, 1),
            norm,
            last: layer(4, 2, 2),
        }
    }

    fn loss(&self, batch: &Batch) -> Tensor<1> {
        let hidden = self.norm.forward(self.first.forward(batch.x.clone()));
        let log_p = log_softmax(self.last.forward(tanh(hidden)), 1);
        let of_class = log_p.gather(1, batch.y.clone().unsqueeze_dim(1));
        of_class.mean().neg()
    }

    /// Every number, as bits: parameters and statistics.
    fn bits(&self) -> Vec<u64> {
        [
            values(self.first.weight.val()),
            values(self.norm.gamma.val()),
            values(self.norm.beta.val()),
            values(self.last.weight.val()),
            values(self.norm.running_mean.value_sync()),
            values(self.norm.running_var.value_sync()),
        ]
        .concat()
        .into_iter()
        .map(f64::to_bits)
        .collect()
    }
}

#[test]
fn the_module_stays_as_it_was_its_running_statistics_included() {
    let problem = Problem::new(&[3, 4, 2], 12, 0.9);
    let batch = problem.batch(&device(), F64);
    let model = Normalized::new(&device(), F64);
    // A step of training leaves a pending update.
    model.loss(&batch);
    let before = model.bits();
    // Burn's clones share their statistics: without a copy of its own the operator would change the module.
    let clone = model.clone();
    clone.loss(&batch);
    assert_ne!(model.bits(), before);

    let before = model.bits();
    model.loss(&batch);
    let mut operator =
        FiniteDifferenceHessian::new(&model, |model: &Normalized| model.loss(&batch)).unwrap();
    let v = noise(operator.size(), 1);
    let product = apply(&mut operator, &v);
    operator.gradient().unwrap();
    // What the module's own pass left is still there, once.
    let reference = Normalized::new(&device(), F64);
    (0..3).for_each(|_| drop(reference.loss(&batch)));
    assert_ne!(model.bits(), before);
    assert_eq!(model.bits(), reference.bits());
    assert!(model.first.weight.is_require_grad() && model.norm.training.is_enabled());

    // The Hessian is that of the loss in training mode, with the statistics of the batch.
    let space = ParameterSpace::of(&model).unwrap();
    let loss_along = |t: f64, s: &[f64]| {
        let moved = space.displaced(&reference_like(&model), &v, t).unwrap();
        let moved = space.displaced(&moved, s, 1.0).unwrap();
        values(moved.loss(&batch))[0]
    };
    let h = 1e-3;
    for i in (0..operator.size()).step_by(5) {
        let mut unit = vec![0.0; operator.size()];
        let mut at = |t: f64, s: f64| {
            unit[i] = s;
            loss_along(t, &unit)
        };
        let mixed = at(h, h) - at(h, -h) - at(-h, h) + at(-h, -h);
        let expected = mixed / (4.0 * h * h);
        assert!(
            (product[i] - expected).abs() < 1e-4,
            "{i}: {} {expected}",
            product[i]
        );
    }
}

/// A copy with statistics of its own.
fn reference_like(model: &Normalized) -> Normalized {
    model.valid().train()
}

#[test]
fn a_module_with_gradient_checkpointing_keeps_it() {
    let problem = Problem::new(&[3, 4, 3, 2], 9, 0.9);
    let device = device().gradient_checkpointing();
    let model = problem.model(&device, F64);
    let batch = problem.batch(&device, F64);
    let mut operator =
        FiniteDifferenceHessian::new(&model, |model: &Mlp| model.loss(&batch)).unwrap();
    let error = relative_error(&assemble(&mut operator).unwrap(), &problem.hessian(), 0.0);
    assert!(error < 1e-8, "{error}");
}

#[test]
fn closed_forms_matrices_and_closures_are_operators() {
    let problem = Problem::new(&[3, 4, 3], 9, 0.9);
    let order = closed_form_order(&problem.sizes);
    let size = order.len();
    let mut theta = vec![0.0; size];
    order
        .iter()
        .zip(&problem.theta)
        .for_each(|(&core, &v)| theta[core] = v);
    let dimensions = Dimensions {
        inputs: 3,
        hidden: 4,
        outputs: 3,
        hidden_bias: true,
        output_bias: true,
    };
    let network = Network::from_flat(dimensions, Activation::Tanh, &theta).unwrap();
    let targets = Targets::Classes(&problem.y);
    let batch = hsr_core::Batch::new(OutputLoss::SoftmaxCrossEntropy, &problem.x, targets);
    let mut workspace = Workspace::new();
    let mut operator = workspace.linearize(&network, &batch).unwrap();
    let found = assemble(&mut operator).unwrap();
    let exact = closed_form(&problem);
    for (i, row) in exact.chunks(size).enumerate() {
        for (j, entry) in row.iter().enumerate() {
            let closed = found[order[i] * size + order[j]];
            assert!((closed - entry).abs() < 1e-14, "{i}, {j}");
        }
    }

    let v = noise(size, 4);
    let mut dense = DenseOperator::new(&exact, size).unwrap();
    let product = apply(&mut dense, &v);
    let error = relative_error(&product, &times(&exact, &v), 0.0);
    assert!(error < 1e-14, "{error}");
    let mut closure = from_fn(size, |v, out| {
        out.copy_from_slice(&times(&exact, v));
        Ok(())
    });
    assert_eq!(apply(&mut &mut closure, &v), times(&exact, &v));
    // Only the symmetric part counts, also where a sum would overflow.
    let mut skew = DenseOperator::new(&[1.0, 1e308, 1.5e308, 2.0], 2).unwrap();
    assert_eq!(apply(&mut skew, &[0.0, 1.0]), [1.25e308, 2.0]);
}

const UNTRACKED: &str = "the loss is not tracked by autodiff: was it computed on an autodiff device, from a parameter that \
                         is trained?";

#[test]
fn what_cannot_be_done_is_an_error_in_one_line() {
    let problem = Problem::new(&[3, 4, 2], 5, 0.9);
    let model = problem.model(&device(), F64);
    let batch = problem.batch(&device(), F64);
    let loss = |model: &Mlp| model.loss(&batch);
    let message = |result: Result<_, SharpnessError>| match result {
        Ok(_) => panic!("no error"),
        Err::<FiniteDifferenceHessian<Mlp>, _>(error) => error.to_string(),
    };
    assert_eq!(
        message(FiniteDifferenceHessian::new(&model.valid(), loss)),
        "the module is on a device without autodiff, where no parameter is trainable: take module.train()"
    );
    assert_eq!(
        message(FiniteDifferenceHessian::new(&model.clone().no_grad(), loss)),
        "the module has no trainable parameters"
    );
    FiniteDifferenceHessian::new(&model.valid().train(), loss).unwrap();
    let broken = problem.at(&vec![f64::NAN; problem.theta.len()]);
    let broken = broken.model(&device(), F64);
    assert_eq!(
        message(FiniteDifferenceHessian::new(&broken, loss)),
        "a parameter is not finite"
    );
    let operator = || FiniteDifferenceHessian::new(&model, loss).unwrap();
    for step in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(
            message(operator().with_step(step)),
            format!("the step is {step}, expected a finite number above 0")
        );
    }

    let size = operator().size();
    let refused = |operator: &mut FiniteDifferenceHessian<Mlp>, v: &[f64]| {
        let mut product = vec![0.0; size];
        operator.apply(v, &mut product).unwrap_err().to_string()
    };
    assert_eq!(
        refused(&mut operator(), &[1.0]),
        "the vector has 1 values, expected 26"
    );
    assert_eq!(
        refused(&mut operator(), &vec![f64::INFINITY; size]),
        "the vector is not finite"
    );
    let mut short = [0.0; 3];
    let error = operator().apply(&vec![1.0; size], &mut short).unwrap_err();
    assert_eq!(error.to_string(), "the product has 3 values, expected 26");

    let untracked = |model: &Mlp| model.loss(&batch).inner();
    let mut operator = FiniteDifferenceHessian::new(&model, untracked).unwrap();
    assert_eq!(refused(&mut operator, &vec![1.0; size]), UNTRACKED);
    // On an autodiff device, but of frozen parameters alone: Burn would panic.
    let mut partly = model.clone();
    partly.layers[0] = partly.layers[0].clone().no_grad();
    let of_frozen = |model: &Mlp| model.layers[0].weight.val().square().sum().reshape([1]);
    let mut operator = FiniteDifferenceHessian::new(&partly, of_frozen).unwrap();
    let size_of_rest = operator.size();
    let error = operator.apply(&vec![1.0; size_of_rest], &mut vec![0.0; size_of_rest]);
    assert_eq!(error.unwrap_err().to_string(), UNTRACKED);
    assert_eq!(operator.gradient().unwrap_err().to_string(), UNTRACKED);
    let infinite = |model: &Mlp| model.loss(&batch) * f64::INFINITY;
    let mut operator = FiniteDifferenceHessian::new(&model, infinite).unwrap();
    assert_eq!(
        refused(&mut operator, &vec![1.0; size]),
        "the gradient is not finite"
    );

    let mean = |model: &Mlp, batch: &Batch| (model.loss(batch), batch.samples() as f64);
    let none = || std::iter::empty::<Result<&Batch, SharpnessError>>();
    let mut operator = FiniteDifferenceHessian::of_mean(&model, none, mean).unwrap();
    assert_eq!(
        refused(&mut operator, &vec![1.0; size]),
        "the sum of the batches' weights is 0, expected a finite number above 0"
    );
    let lost = || [Ok(&batch), Err("the disk is gone")];
    let mut operator = FiniteDifferenceHessian::of_mean(&model, lost, mean).unwrap();
    assert_eq!(
        refused(&mut operator, &vec![1.0; size]),
        "cannot get a batch: the disk is gone"
    );

    let matrix = |values: &[f64], size| DenseOperator::new(values, size).unwrap_err().to_string();
    assert_eq!(matrix(&[1.0; 3], 2), "the matrix has 3 values, expected 4");
    assert_eq!(matrix(&[f64::NAN], 1), "the matrix is not finite");
}
