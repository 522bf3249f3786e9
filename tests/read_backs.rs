//! Device execution on wgpu reads nothing back, and its tensors stay on the device.
//!
//! wgpu reports every call of its API to the `log` facade at trace level, in every build and whoever makes the call;
//! the only way of wgpu from a device's memory to the host's is to map a buffer for reading. A logger that counts those
//! calls therefore counts read-backs, without a feature and without a second build of the graphics stack. It sees the
//! kernel launches as well.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::activation::log_softmax;
#[cfg(feature = "wgpu")]
use burn::tensor::wgpu::{WgpuSetup, wgpu};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn_hsr::{
    Backend, Evaluation, Execution, Hsr, HsrConfig, Mode, OutputLoss, Targets, ThreeLayerNet,
    ThreeLayerNetConfig,
};
use burn_penalty::{Objective, Scheme, StochasticHsrConfig};
use hsr_tests::relative_error;

/// Counts what wgpu reports. One for the process, as `log` has it: the tests of this file take turns.
struct Counter {
    read_backs: AtomicUsize,
    launches: AtomicUsize,
}

static COUNTER: Counter = Counter {
    read_backs: AtomicUsize::new(0),
    launches: AtomicUsize::new(0),
};

impl log::Log for Counter {
    fn enabled(&self, metadata: &log::Metadata) -> bool {
        metadata.target().starts_with("wgpu_core")
    }

    fn log(&self, record: &log::Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let call = record.args().to_string();
        if call.starts_with("Buffer::map_async") && call.contains("host: Read") {
            self.read_backs.fetch_add(1, Ordering::SeqCst);
        }
        if call.starts_with("ComputePass::dispatch") {
            self.launches.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn flush(&self) {}
}

/// What one piece of work did.
#[derive(Debug)]
struct Counts {
    read_backs: usize,
    launches: usize,
}

/// Runs the work until the device has finished it. Waiting for the device is not a read-back, and not counted as one.
fn count<R>(device: &Device, work: impl FnOnce() -> R) -> (R, Counts) {
    device.sync().expect("a device that finishes its work");
    let read_backs = COUNTER.read_backs.load(Ordering::SeqCst);
    let launches = COUNTER.launches.load(Ordering::SeqCst);
    let result = work();
    device.sync().expect("a device that finishes its work");
    let counts = Counts {
        read_backs: COUNTER.read_backs.load(Ordering::SeqCst) - read_backs,
        launches: COUNTER.launches.load(Ordering::SeqCst) - launches,
    };
    (result, counts)
}

/// The wgpu device with the counter installed, and the turn to use it; without an adapter, nothing, which is a failure
/// where `HSR_REQUIRE_WGPU` is set.
fn wgpu() -> Option<(Device, MutexGuard<'static, ()>)> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    // An error says that it is installed already.
    let _ = log::set_logger(&COUNTER);
    log::set_max_level(log::LevelFilter::Trace);
    match Backend::Wgpu.device() {
        Ok(device) => Some((device.autodiff(), turn)),
        Err(error) => {
            println!("SKIPPED: {error}");
            assert!(std::env::var_os("HSR_REQUIRE_WGPU").is_none(), "{error}");
            None
        }
    }
}

struct Problem {
    model: ThreeLayerNet,
    x: Tensor<2>,
    y: Tensor<1, Int>,
}

fn problem(device: &Device) -> Problem {
    problem_of(device, [10, 4, 5, 3])
}

fn problem_of(device: &Device, [samples, inputs, hidden, classes]: [usize; 4]) -> Problem {
    let x: Vec<f32> = (0..samples * inputs)
        .map(|i| (1.7 * i as f32).sin())
        .collect();
    let y: Vec<i32> = (0..samples as i32).map(|i| i % classes as i32).collect();
    Problem {
        model: ThreeLayerNetConfig::new(inputs, hidden, classes).init(device),
        x: Tensor::from_data(TensorData::new(x, [samples, inputs]), device),
        y: Tensor::from_data(TensorData::new(y, [samples]), device),
    }
}

fn loss(model: &ThreeLayerNet, x: &Tensor<2>, y: &Tensor<1, Int>) -> Tensor<1> {
    let log_p = log_softmax(model.forward(x.clone()), 1);
    log_p.gather(1, y.clone().unsqueeze_dim(1)).mean().neg()
}

/// One step with the penalty in the loss; also says where every gradient was.
fn step_with_penalty(
    hsr: &mut Hsr,
    optimizer: &mut ModuleOptimizer,
    model: ThreeLayerNet,
    x: &Tensor<2>,
    y: &Tensor<1, Int>,
) -> (ThreeLayerNet, Vec<Device>) {
    let penalty = hsr.penalty(&model, x.clone(), y.clone()).unwrap();
    let mut devices = vec![penalty.device()];
    let gradients = (loss(&model, x, y) + penalty).backward();
    let gradients = GradientsParams::from_grads(gradients, &model);
    for weight in [&model.hidden.weight, &model.output.weight] {
        let gradient = gradients.get::<2>(weight.id).expect("a gradient");
        devices.push(gradient.device());
    }
    for bias in [&model.hidden.bias, &model.output.bias] {
        let bias = bias.as_ref().expect("a bias");
        let gradient = gradients.get::<1>(bias.id).expect("a gradient");
        devices.push(gradient.device());
    }
    (optimizer.step(0.01, model, gradients), devices)
}

#[test]
fn a_step_with_the_penalty_reads_nothing_back_from_wgpu() {
    let Some((device, _turn)) = wgpu() else {
        return;
    };
    let Problem { mut model, x, y } = problem(&device);
    let config = HsrConfig::new().with_strength(0.1);
    for (mode, evaluation) in [
        (Mode::Coupled, Evaluation::Auto),
        (Mode::Coupled, Evaluation::Assembled),
        (Mode::Coupled, Evaluation::Gram),
        (Mode::Direction, Evaluation::Auto),
    ] {
        let name = format!("{mode:?}, {evaluation:?}");
        let mut hsr = config
            .clone()
            .with_mode(mode)
            .with_evaluation(evaluation)
            .init()
            .unwrap();
        let mut optimizer = AdamConfig::new().init();
        // The first steps compile and tune kernels, and tuning reads the device's clock back.
        for _ in 0..2 {
            (model, _) = step_with_penalty(&mut hsr, &mut optimizer, model, &x, &y);
        }
        let ((after, devices), counts) = count(&device, || {
            step_with_penalty(&mut hsr, &mut optimizer, model, &x, &y)
        });
        model = after;
        println!("a step, {name}: {counts:?}");
        assert_eq!(counts.read_backs, 0, "{name}");
        // Without launches the counter would have seen another device, or none.
        assert!(counts.launches > 0, "{name}");
        let inner = device.clone().inner();
        for found in devices {
            assert_eq!(found.inner(), inner, "{name}");
        }
        assert_eq!(model.hidden.weight.val().device().inner(), inner, "{name}");
        // The control: the counter sees the read-back of the very same parameters.
        let (values, counts) = count(&device, || {
            model
                .hidden
                .weight
                .val()
                .inner()
                .into_data()
                .try_to_vec::<f32>()
        });
        assert!(values.unwrap().iter().all(|v| v.is_finite()), "{name}");
        assert!(counts.read_backs >= 1, "{name}: {counts:?}");
    }
}

#[test]
fn injection_and_the_decoupled_step_read_nothing_back_from_wgpu() {
    let Some((device, _turn)) = wgpu() else {
        return;
    };
    for mode in [Mode::Coupled, Mode::Decoupled, Mode::Direction] {
        let Problem { mut model, x, y } = problem(&device);
        let config = HsrConfig::new().with_strength(0.1).with_mode(mode);
        let mut hsr = config.init().unwrap();
        let mut optimizer = AdamConfig::new().init();
        let mut advance = |model: ThreeLayerNet| {
            let gradients = GradientsParams::from_grads(loss(&model, &x, &y).backward(), &model);
            hsr.step(&mut optimizer, 0.01, model, x.clone(), y.clone(), gradients)
                .unwrap()
        };
        for _ in 0..2 {
            model = advance(model);
        }
        let (_, counts) = count(&device, || advance(model));
        println!("Hsr::step, {mode:?}: {counts:?}");
        assert_eq!(counts.read_backs, 0, "{mode:?}");
        assert!(counts.launches > 0, "{mode:?}");
    }
}

#[test]
fn a_step_of_stochastic_hsr_reads_nothing_back_from_wgpu() {
    let Some((device, _turn)) = wgpu() else {
        return;
    };
    for (objective, scheme) in [
        (Objective::LambdaSup, Scheme::S4),
        (Objective::Frobenius, Scheme::S7),
        (Objective::Trace, Scheme::S4),
        (Objective::LambdaMax, Scheme::S4),
    ] {
        for mode in [
            burn_penalty::Mode::Coupled,
            burn_penalty::Mode::Decoupled,
            burn_penalty::Mode::Direction,
        ] {
            let Problem { mut model, x, y } = problem(&device);
            let config = StochasticHsrConfig::new()
                .with_objective(objective)
                .with_scheme(scheme)
                .with_mode(mode);
            let pass = |model: &ThreeLayerNet| {
                let loss = loss(model, &x, &y);
                let gradients = GradientsParams::from_grads(loss.backward(), model);
                (loss, gradients)
            };
            for (check_finite, read_backs) in [(false, 0), (true, 1)] {
                let config = config.clone().with_check_finite(check_finite);
                let mut hsr = config.init(AdamConfig::new().init()).unwrap();
                // The first step sees whether the closure repeats itself; the first steps compile kernels.
                for _ in 0..3 {
                    model = hsr.step(0.01, model, pass).unwrap().module;
                }
                let (step, counts) = count(&device, || hsr.step(0.01, model, pass).unwrap());
                model = step.module;
                println!("{objective:?}, {scheme:?}, {mode:?}, {check_finite}: {counts:?}");
                assert_eq!(counts.read_backs, read_backs, "{objective:?} {mode:?}");
                assert!(counts.launches > 0, "{objective:?} {mode:?}");
            }
        }
    }
}

/// What a step of stochastic HSR launches beyond its four gradients, whatever the batch.
#[test]
fn a_step_of_stochastic_hsr_is_a_bounded_number_of_launches_beyond_its_gradients() {
    let Some((device, _turn)) = wgpu() else {
        return;
    };
    let parameters = 4;
    for samples in [10, 200] {
        let Problem { mut model, x, y } = problem_of(&device, [samples, 4, 5, 3]);
        let pass = |model: &ThreeLayerNet| {
            let loss = loss(model, &x, &y);
            let gradients = GradientsParams::from_grads(loss.backward(), model);
            ((), gradients)
        };
        let mut optimizer = SgdConfig::new().init();
        let mut hsr = StochasticHsrConfig::new()
            .init(SgdConfig::new().init())
            .unwrap();
        // The first step sees whether the closure repeats itself; the first steps compile kernels.
        for _ in 0..3 {
            model = hsr.step(0.01, model, pass).unwrap().module;
            let ((), gradients) = pass(&model);
            model = optimizer.step(0.01, model, gradients);
        }
        let (((), gradients), plain) = count(&device, || pass(&model));
        let (after, step) = count(&device, || optimizer.step(0.01, model, gradients));
        let (_, all) = count(&device, || hsr.step(0.01, after, pass).unwrap());
        let beyond = all.launches - 4 * plain.launches - step.launches;
        println!("{samples}: {plain:?}, {step:?}, {all:?}: {beyond} beyond");
        assert!(plain.launches > 0, "{plain:?}");
        // Some 40 operations on each parameter, each at most two launches, and those on numbers.
        assert!(beyond <= 80 * parameters + 200, "{beyond}");
    }
}

/// What a penalty and its backward pass launch, for every loss, evaluation and size, with the inputs tracked or not.
#[test]
fn a_penalty_is_at_most_sixty_launches_on_wgpu_and_reads_back_only_on_the_host() {
    let Some((device, _turn)) = wgpu() else {
        return;
    };
    for sizes in [[10, 4, 5, 3], [70, 150, 33, 10]] {
        let Problem { model, x, y } = problem_of(&device, sizes);
        for loss in [
            OutputLoss::SoftmaxCrossEntropy,
            OutputLoss::SigmoidCrossEntropy,
            OutputLoss::MeanSquaredError,
        ] {
            let targets = match loss {
                OutputLoss::SoftmaxCrossEntropy => Targets::from(y.clone()),
                _ => Targets::from(y.clone().one_hot::<2>(sizes[3])),
            };
            for evaluation in [Evaluation::Assembled, Evaluation::Gram] {
                // The blocks of the larger network would hold millions of numbers.
                if evaluation == Evaluation::Assembled && sizes[1] > 100 {
                    continue;
                }
                for tracked in [false, true] {
                    let name = format!("{}, {evaluation:?}, {sizes:?}, {tracked}", loss.name());
                    let config = HsrConfig::new()
                        .with_strength(0.1)
                        .with_loss(loss.into())
                        .with_evaluation(evaluation)
                        .with_execution(Execution::Device);
                    let mut hsr = config.init().unwrap();
                    let x = match tracked {
                        true => x.clone().require_grad(),
                        false => x.clone(),
                    };
                    let mut penalty = || hsr.penalty(&model, x.clone(), targets.clone()).unwrap();
                    penalty().backward();
                    let (value, forward) = count(&device, penalty);
                    let (_, backward) = count(&device, || value.backward());
                    println!("{name}: {} and {}", forward.launches, backward.launches);
                    assert_eq!(forward.read_backs + backward.read_backs, 0, "{name}");
                    assert!(forward.launches <= 60, "{name}: {forward:?}");
                    assert!(backward.launches <= 25, "{name}: {backward:?}");
                    // Without launches the counter would have seen another device, or none.
                    assert!(forward.launches >= 20, "{name}: {forward:?}");
                }
            }
            // A strength that follows the loss's gradient takes that gradient too, and reads nothing back for it.
            let config = HsrConfig::new().with_loss(loss.into());
            let mut hsr = config.with_execution(Execution::Device).init().unwrap();
            let mut penalty = || hsr.penalty(&model, x.clone(), targets.clone()).unwrap();
            for _ in 0..2 {
                penalty().backward();
            }
            let (_, auto) = count(&device, penalty);
            println!("{}, {sizes:?}, auto: {}", loss.name(), auto.launches);
            assert_eq!(auto.read_backs, 0, "{}: {auto:?}", loss.name());
            // The control: the host execution reads W1, b1, W2, b2, inputs and targets.
            let config = HsrConfig::new().with_loss(loss.into());
            let mut hsr = config.with_execution(Execution::Host).init().unwrap();
            let (_, on_host) = count(&device, || hsr.penalty(&model, x.clone(), targets).unwrap());
            assert!(on_host.read_backs >= 6, "{on_host:?}");
        }
    }
}

/// A device of the same adapter with its limits changed. One of the storage buffers that it binds CubeCL takes for itself.
#[cfg(feature = "wgpu")]
fn device_within(change: impl FnOnce(&mut wgpu::Limits)) -> Device {
    let setup = block_on(async {
        let instance = wgpu::Instance::default();
        let adapter = instance.request_adapter(&Default::default()).await.unwrap();
        let mut limits = adapter.limits();
        change(&mut limits);
        let (device, queue) = adapter
            .request_device(&wgpu::DeviceDescriptor {
                // CubeCL takes what the adapter can do for what the device may.
                required_features: adapter.features() - wgpu::Features::all_experimental_mask(),
                required_limits: limits,
                ..Default::default()
            })
            .await
            .unwrap();
        let backend = adapter.get_info().backend;
        WgpuSetup {
            instance,
            adapter,
            device,
            queue,
            backend,
        }
    });
    Device::wgpu_options().setup(setup).init().unwrap()
}

/// The result of a future that never waits for another task.
#[cfg(feature = "wgpu")]
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::yield_now();
    }
}

/// The gradient for the inputs by either evaluation, of the same numbers on every device, and what it launches.
fn gradients(device: &Device, dtype: DType) -> [(Vec<f64>, usize); 2] {
    let Problem { mut model, x, y } = problem(device);
    let place = || (device, dtype);
    let hidden = Tensor::<2>::from_data([[0.5, -0.25, 0.125, 1.0, -0.5]; 4], place());
    let output = Tensor::<2>::from_data([[0.75, -0.5, 0.25]; 5], place());
    model.hidden.weight = model.hidden.weight.map(|_| hidden.require_grad());
    model.output.weight = model.output.weight.map(|_| output.require_grad());
    for layer in [&mut model.hidden, &mut model.output] {
        let zeros = |bias: Tensor<1>| Tensor::zeros(bias.dims(), place()).require_grad();
        layer.bias = layer.bias.take().map(|bias| bias.map(zeros));
    }
    [Evaluation::Assembled, Evaluation::Gram].map(|evaluation| {
        let config = HsrConfig::new().with_evaluation(evaluation);
        let hsr = config.with_execution(Execution::Auto).init().unwrap();
        let x = x.clone().cast(dtype);
        let gradient = || hsr.gradient(&model, x.clone(), y.clone(), true).unwrap();
        gradient();
        let (gradient, counts) = count(device, gradient);
        let inputs = gradient.inputs.expect("asked for").inner().into_data();
        (inputs.iter::<f64>().collect(), counts.launches)
    })
}

/// Eight buffers are what WebGPU promises; a device with fewer takes tensor operations in place of kernels.
#[cfg(feature = "wgpu")]
#[test]
fn kernels_bind_no_more_buffers_than_webgpu_promises() {
    let Some((device, _turn)) = wgpu() else {
        return;
    };
    let plenty = gradients(&device, DType::F32);
    for buffers in [7, 8] {
        let few = device_within(|limits| limits.max_storage_buffers_per_shader_stage = buffers);
        let few = gradients(&few.autodiff(), DType::F32);
        for ((found, launches), (expected, of_kernels)) in few.iter().zip(&plenty) {
            println!("{buffers} buffers: {launches} launches, {of_kernels} with plenty");
            assert_eq!(*launches == *of_kernels, buffers == 8, "{buffers}");
            let error = relative_error(found, expected, 0.0);
            assert!(error < 1e-4, "{buffers}: {error:e}");
        }
    }
}

/// M of all samples takes 16 MiB here, and the device has no buffer as large: the kernels form some rows of it at a time.
#[cfg(feature = "wgpu")]
#[test]
fn a_wide_hidden_layer_needs_no_room_for_all_of_m() {
    let Some((_, _turn)) = wgpu() else {
        return;
    };
    let device = device_within(|limits| limits.max_storage_buffer_binding_size = 12 << 20);
    let device = device.autodiff();
    let Problem { model, x, y } = problem_of(&device, [256, 1, 128, 4]);
    let on = |execution| {
        let config = HsrConfig::new().with_evaluation(Evaluation::Gram);
        let hsr = config.with_execution(execution).init().unwrap();
        let gradient = || hsr.gradient(&model, x.clone(), y.clone(), true).unwrap();
        let (gradient, counts) = count(&device, gradient);
        let values = gradient.inputs.expect("asked for").inner().into_data();
        (values.iter::<f64>().collect::<Vec<f64>>(), counts.launches)
    };
    let ((found, launches), (expected, _)) = (on(Execution::Device), on(Execution::Host));
    println!("{launches} launches");
    assert!(launches < 80, "{launches}");
    let error = relative_error(&found, &expected, 0.0);
    assert!(error < 1e-4, "{error:e}");
}

#[test]
fn double_precision_has_the_same_kernels() {
    let Some((device, _turn)) = wgpu() else {
        return;
    };
    if !device.supports_dtype(DType::F64) {
        println!("SKIPPED: this adapter has no f64");
        return;
    }
    let [single, double] = [DType::F32, DType::F64].map(|dtype| gradients(&device, dtype));
    for ((found, launches), (expected, of_single)) in double.iter().zip(&single) {
        println!("{launches} launches in double precision, {of_single} in single");
        assert_eq!(launches, of_single);
        let error = relative_error(found, expected, 0.0);
        assert!(error < 1e-4, "{error:e}");
    }
}
