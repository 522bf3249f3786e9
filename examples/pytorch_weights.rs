//! Exact curvature of weights trained in PyTorch, against what PyTorch's own second-order autodiff says:
//! `cargo build --release --workspace --examples`, then
//! `target/release/examples/pytorch_weights`. `data/README.md` says how the file was made.

use std::path::Path;

use hsr_core::{Activation, Batch, OutputLoss, Targets};
use hsr_examples::picture;
use hsr_lab::data::Standardizer;
use hsr_lab::figures::{self, Spectrum};
use hsr_lab::tasks::{self, TaskOptions};
use hsr_lab::{Curvature, LayerKeys, Weights, spectrum};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `nn.Linear` layers named fc1 and fc2 in the model's state_dict.
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/iris_pytorch.safetensors");
    let weights = Weights::read(&file, &LayerKeys::named(["fc1", "fc2"]))?
        .with_activations(&Activation::Tanh.into(), false)?;
    let network = weights.view()?;

    // The data on which they were trained.
    let mut data = tasks::load("iris", &TaskOptions::default(), 0)?;
    Standardizer::fit(&data).apply(&mut data)?;
    let batch = Batch::new(
        OutputLoss::SoftmaxCrossEntropy,
        &data.features,
        Targets::Classes(&data.labels),
    );

    let mut curvature = Curvature::new();
    let loss = curvature.loss(&network, &batch)?;
    let bounds = curvature.bounds(&network, &batch)?;
    let ends = spectrum::ends(&mut curvature, &weights, &batch, 0)?;
    println!("{} parameters, loss {loss:.6}", weights.theta.len());
    println!(
        "λ_max = {:.6}, by the bounds {:.6}",
        ends.lambda_max,
        bounds.lambda_max()
    );
    println!(
        "λ_min = {:.6}, between λ_inf = {:.6} and {:.6}",
        ends.lambda_min, bounds.lambda_inf, bounds.lambda_min_upper
    );

    // What torch.autograd.functional.hessian gave, in double precision.
    for (name, here, torch) in [
        ("loss", loss, 0.046680114763),
        ("λ_max", ends.lambda_max, 1.047913915383),
        ("λ_min", ends.lambda_min, -0.001772856082),
        ("trace", bounds.moments.trace, 1.533079152177),
    ] {
        if (here - torch).abs() > 1e-10 {
            return Err(format!("{name} is {here}, PyTorch says {torch}").into());
        }
    }
    println!("loss, λ_max, λ_min and trace agree with PyTorch to 10 decimals");
    picture(|| {
        figures::spectrum(&[Spectrum {
            label: "PyTorch's network".to_owned(),
            eigenvalues: ends.eigenvalues.unwrap_or_default(),
            lambda_sup: bounds.lambda_sup,
        }])
    })
}
