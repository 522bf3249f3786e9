//! What a training step with HSR costs on a GPU, counted in plain steps there: `cargo bench --workspace --features
//! hsr-tests/wgpu,hsr-tests/fusion --bench device`. Every device backend of the build that opens takes its turn.
//!
//! The network has 784 inputs, 128 hidden units and ten classes, the batch 128 rows, in single precision. A turn is
//! several steps and ends when the device has done them; a ratio is the median over rounds of the ratio to the plain turn
//! of the same round, with its quartiles. One JSON object a device follows the table.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_hsr::{
    Backend, DeviceDescription, Hsr, HsrConfig, ScheduleConfig, Strength, ThreeLayerNet,
    ThreeLayerNetConfig,
};
use burn_sharpness::SamConfig;
use hsr_benches::{Candidate, asked_for, noise, ratios};
use serde_json::json;

const INPUTS: usize = 784;
const HIDDEN: usize = 128;
const CLASSES: usize = 10;
const SAMPLES: usize = 128;

struct Problem {
    device: Device,
    model: ThreeLayerNet,
    x: Tensor<2>,
    y: Tensor<1, Int>,
    /// Steps in a turn.
    steps: usize,
}

impl Problem {
    fn pass(&self, model: &ThreeLayerNet) -> (Tensor<1>, GradientsParams) {
        let loss_fn = CrossEntropyLossConfig::new().init(&self.device);
        let loss = loss_fn.forward(model.forward(self.x.clone()), self.y.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), model);
        (loss, gradients)
    }

    /// Repeats a step that replaces the model, until the device has done it.
    fn turn<'a>(
        &'a self,
        mut step: impl FnMut(ThreeLayerNet) -> ThreeLayerNet + 'a,
    ) -> Box<dyn FnMut() + 'a> {
        let mut model = Some(self.model.clone());
        Box::new(move || {
            for _ in 0..self.steps {
                let before = model.take().expect("a model");
                model = Some(step(before));
            }
            self.device.sync().expect("a device that finishes its work");
        })
    }

    fn plain(&self) -> Box<dyn FnMut() + '_> {
        let mut optimizer = SgdConfig::new().init();
        self.turn(move |model| {
            let (_, gradients) = self.pass(&model);
            optimizer.step(1e-3, model, gradients)
        })
    }

    fn sam(&self) -> Box<dyn FnMut() + '_> {
        let config = SamConfig::new();
        let mut sam = config.init(SgdConfig::new().init()).expect("valid options");
        self.turn(move |model| {
            let step = sam.step(1e-3, model, |model| self.pass(model));
            step.expect("a step").module
        })
    }

    fn injected(&self, config: HsrConfig) -> Box<dyn FnMut() + '_> {
        let mut hsr = config.init().expect("valid options");
        let mut optimizer = SgdConfig::new().init();
        self.turn(move |model| {
            let (_, gradients) = self.pass(&model);
            let (x, y) = (self.x.clone(), self.y.clone());
            let gradients = hsr.inject(&model, x, y, gradients).expect("a gradient");
            optimizer.step(1e-3, model, gradients)
        })
    }

    fn penalised(&self, config: HsrConfig) -> Box<dyn FnMut() + '_> {
        let mut hsr: Hsr = config.init().expect("valid options");
        let mut optimizer = SgdConfig::new().init();
        let loss_fn = CrossEntropyLossConfig::new().init(&self.device);
        self.turn(move |model| {
            let (x, y) = (self.x.clone(), self.y.clone());
            let loss = loss_fn.forward(model.forward(x.clone()), y.clone());
            let penalty = hsr.penalty(&model, x, y).expect("a penalty");
            let gradients = GradientsParams::from_grads((loss + penalty).backward(), &model);
            optimizer.step(1e-3, model, gradients)
        })
    }
}

fn measure(backend: Backend, device: Device) {
    let described = DeviceDescription::of(&device);
    let name = described.name.unwrap_or_else(|| "unnamed".to_owned());
    let device = device.autodiff();
    device.seed(0);
    let x: Vec<f32> = (0..SAMPLES * INPUTS).map(|i| noise(i) as f32).collect();
    let y: Vec<i32> = (0..SAMPLES).map(|i| (i % CLASSES) as i32).collect();
    let problem = Problem {
        model: ThreeLayerNetConfig::new(INPUTS, HIDDEN, CLASSES).init(&device),
        x: Tensor::from_data(TensorData::new(x, [SAMPLES, INPUTS]), &device),
        y: Tensor::from_data(TensorData::new(y, [SAMPLES]), &device),
        steps: if asked_for("quick") { 1 } else { 10 },
        device,
    };
    let fixed = HsrConfig::new().with_strength(Strength::Fixed(0.01));
    let every_fourth = fixed
        .clone()
        .with_schedule(ScheduleConfig::new().with_interval(4));
    let mut candidates: Vec<Candidate> = vec![
        ("plain", problem.plain()),
        ("SAM", problem.sam()),
        ("HSR, injected", problem.injected(fixed.clone())),
        ("HSR, penalty", problem.penalised(fixed)),
        (
            "HSR, injected, every 4th step",
            problem.injected(every_fourth),
        ),
        ("HSR, injected, auto", problem.injected(HsrConfig::new())),
    ];
    let found = ratios(&mut candidates, 15, 4e-3);
    println!("{backend}, {name}: {INPUTS}-{HIDDEN}-{CLASSES}, N = {SAMPLES}, f32");
    let mut rows = Vec::new();
    for ((method, _), ratio) in candidates.iter().zip(found) {
        let [lower, median, upper] = ratio.quartiles;
        let seconds = ratio.seconds / problem.steps as f64;
        println!(
            "  {method:32}{:>10.1} µs{median:>8.2} plain steps ({lower:.2} to {upper:.2})",
            1e6 * seconds
        );
        rows.push(json!({ "method": method, "seconds": seconds, "plain_steps": median }));
    }
    println!(
        "{}",
        json!({ "backend": backend.name(), "device": name, "steps": rows })
    );
}

fn main() {
    let gpus = Backend::ALL.into_iter().filter(|backend| {
        let elsewhere = [
            Backend::Default,
            Backend::Flex,
            Backend::NdArray,
            Backend::Remote,
        ];
        backend.is_compiled() && !elsewhere.contains(backend)
    });
    for backend in gpus {
        match backend.device() {
            Ok(device) => measure(backend, device),
            Err(error) => println!("SKIPPED: {error}"),
        }
    }
}
