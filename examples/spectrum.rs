//! The Hessian of a network with two hidden layers on real data, before and after training: both ends of its spectrum,
//! its trace and its density, from Hessian-vector products over batches:
//! `cargo build --release --workspace --examples`, then `target/release/examples/spectrum`.

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::gelu;
use burn::tensor::{Device, Int, Tensor};
use burn_hsr::Backend;
use burn_sharpness::spectrum::{
    DensityConfig, LanczosConfig, TraceConfig, hutch_plus_plus, lanczos, spectral_density,
};
use burn_sharpness::{FiniteDifferenceHessian, SharpnessError, SymmetricOperator};
use hsr_examples::picture;
use hsr_lab::data::Standardizer;
use hsr_lab::figures::{self, Density, Spectrum};
use hsr_lab::network;
use hsr_lab::tasks::{self, TaskOptions};

#[derive(Module, Debug)]
struct Classifier {
    layers: [Linear; 3],
}

impl Classifier {
    fn new(inputs: usize, classes: usize, device: &Device) -> Self {
        let sizes = [[inputs, 16], [16, 8], [8, classes]];
        Self {
            layers: sizes.map(|[inputs, outputs]| LinearConfig::new(inputs, outputs).init(device)),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let [first, second, last] = &self.layers;
        last.forward(gelu(second.forward(gelu(first.forward(x)))))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let backend = std::env::args().nth(1).unwrap_or("flex".to_owned());
    let device = backend.parse::<Backend>()?.device()?.autodiff();
    device.seed(0);

    let mut data = tasks::load("wine", &TaskOptions::default(), 0)?;
    Standardizer::fit(&data).apply(&mut data)?;
    let (x, y) = network::tensors(&data, &device);
    // 178 samples: the last batch is the shortest.
    let batches: Vec<(Tensor<2>, Tensor<1, Int>)> = x
        .clone()
        .split(50, 0)
        .into_iter()
        .zip(y.clone().split(50, 0))
        .collect();

    let mut model = Classifier::new(data.inputs, data.classes(), &device);
    let mut optimizer = AdamConfig::new().init();
    let loss_fn = CrossEntropyLossConfig::new().init(&device);
    let mut pictured = Vec::new();
    for epochs in [0, 100] {
        for _ in 0..epochs {
            let loss = loss_fn.forward(model.forward(x.clone()), y.clone());
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(0.01, model, gradients);
        }
        let mut hessian = FiniteDifferenceHessian::of_mean(
            &model,
            || batches.iter().map(Ok::<_, SharpnessError>),
            |model: &Classifier, (x, y)| {
                let loss = loss_fn.forward(model.forward(x.clone()), y.clone());
                (loss, y.dims()[0] as f64)
            },
        )?;
        let ends = lanczos(&mut hessian, 1, None, &LanczosConfig::new())?;
        let [largest, smallest] = [&ends.largest[0], &ends.smallest[0]];
        let trace = hutch_plus_plus(&mut hessian, &TraceConfig::new())?;
        let density = spectral_density(&mut hessian, &DensityConfig::new())?;
        let pairs = density.nodes.iter().zip(&density.weights);
        let near_zero: f64 = pairs
            .filter(|(node, _)| node.abs() < 0.01 * largest.value)
            .map(|(_, weight)| weight)
            .sum();
        println!(
            "after {epochs} epochs: λ_max {:.4} ± {:.0e}, λ_min {:.4} ± {:.0e} ({} products)",
            largest.value, largest.residual, smallest.value, smallest.residual, ends.products
        );
        println!(
            "  trace {:.4}, with 95 % confidence in {:.4}…{:.4}; {:.0} % of the eigenvalues below 1 % of λ_max",
            trace.trace,
            trace.interval[0],
            trace.interval[1],
            100.0 * near_zero
        );
        if !ends.converged || density.moment(1) > largest.value {
            return Err("the spectrum was not found".into());
        }
        let (size, curve) = (hessian.size(), density.smoothed(400, None)?);
        pictured.push(Density {
            spectrum: Spectrum {
                label: format!("after {epochs} epochs"),
                eigenvalues: vec![largest.value, smallest.value],
                // No closed form, no bound.
                lambda_sup: f64::NAN,
            },
            count: size,
            // Below a tenth of the density of one eigenvalue there is none.
            floor: 0.1 / (size as f64 * curve.width * (2.0 * std::f64::consts::PI).sqrt()),
            values: curve.values,
            density: curve.density,
            note: "Lanczos quadrature on differences of gradients; ticks are λ_min and λ_max."
                .to_owned(),
        });
    }
    picture(|| figures::density(&pictured))
}
