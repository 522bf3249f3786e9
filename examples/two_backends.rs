//! One network, one batch, every backend of this build, chosen by name at run time:
//! `cargo build --release --workspace --examples`, then
//! `target/release/examples/two_backends` (add `--features wgpu` for the GPU).

use burn_hsr::{Activation, Backend, HsrConfig};
use hsr_lab::data::Standardizer;
use hsr_lab::tasks::{self, TaskOptions};
use hsr_lab::{Weights, layers, network};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut data = tasks::load("iris", &TaskOptions::default(), 0)?;
    Standardizer::fit(&data).apply(&mut data)?;
    let tanh = Activation::Tanh.into();
    let layers = layers(data.inputs, &6.into(), data.classes(), &tanh, false)?;
    let weights = Weights::random(layers, 0);

    let mut values = Vec::new();
    for backend in Backend::ALL {
        let device = match backend.device() {
            Ok(device) => device,
            Err(error) => {
                println!("{backend:8} {error}");
                continue;
            }
        };
        let model = network::to_burn(&weights, &device);
        let (x, y) = network::tensors(&data, &device);
        let gradient = HsrConfig::new().init()?.gradient(&model, x, y, false)?;
        let norm: f32 = gradient.norm().into_scalar();
        let lambda_sup: f32 = gradient.value.into_scalar();
        println!("{backend:8} λ_sup = {lambda_sup:.6}  ‖∇λ_sup‖ = {norm:.6}");
        values.push(lambda_sup);
    }
    let spread = values
        .iter()
        .fold(0.0_f32, |most, v| most.max((v - values[0]).abs()));
    if spread > 1e-4 * values[0].abs() {
        return Err(format!("the backends disagree by {spread}").into());
    }
    Ok(())
}
