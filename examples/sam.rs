//! SAM and ASAM around Adam, on real data: the loss, the largest loss nearby, and the largest curvature:
//! `cargo build --release --workspace --examples`, then `target/release/examples/sam`.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::AdamConfig;
use burn_hsr::{Backend, HsrConfig, LanczosConfig, ThreeLayerNet, ThreeLayerNetConfig};
use burn_sharpness::SamConfig;
use hsr_examples::{picture, spectrum_of};
use hsr_lab::data::Standardizer;
use hsr_lab::tasks::{self, TaskOptions};
use hsr_lab::{figures, network};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let backend = std::env::args().nth(1).unwrap_or("flex".to_owned());
    let device = backend.parse::<Backend>()?.device()?.autodiff();

    let mut data = tasks::load("wine", &TaskOptions::default(), 0)?;
    Standardizer::fit(&data).apply(&mut data)?;
    let (inputs, classes) = (data.inputs, data.classes());
    let (x, y) = network::tensors(&data, &device);
    let loss_fn = CrossEntropyLossConfig::new().init(&device);
    let loss = |model: &ThreeLayerNet| loss_fn.forward(model.forward(x.clone()), y.clone());
    // What the trained models are measured with.
    let mut nearby = SamConfig::new().with_rho(0.2).init_gradient()?;
    let hsr = HsrConfig::new().init()?;

    let methods = [
        ("Adam", SamConfig::new().with_rho(0.0)),
        ("SAM", SamConfig::new().with_rho(0.2)),
        ("ASAM", SamConfig::asam()),
    ];
    let (mut largest, mut pictured) = (Vec::new(), Vec::new());
    for (name, config) in methods {
        device.seed(0);
        let mut model = ThreeLayerNetConfig::new(inputs, 8, classes).init(&device);
        let mut sam = config.init(AdamConfig::new().init())?;
        for _ in 0..300 {
            model = sam.step(0.01, model, loss)?.module;
        }
        let passes = nearby.loss_gradients(&model, loss)?;
        let ascended = passes.ascended_loss.ok_or("ρ is not 0")?;
        let [loss, ascended] = [passes.loss, ascended].map(|loss| loss.into_scalar::<f32>());
        let options = LanczosConfig::default();
        let lambda_max = hsr
            .extremes(&model, x.clone(), y.clone(), &options)?
            .largest;
        println!("{name}: loss {loss:.4}, within ρ = 0.2 {ascended:.4}, λ_max {lambda_max:.4}");
        largest.push(ascended);
        pictured.push(spectrum_of(name, &hsr, &model, x.clone(), y.clone())?);
    }
    if largest[1] >= largest[0] {
        return Err("SAM did not lower the largest loss nearby".into());
    }
    picture(|| figures::spectrum(&pictured))
}
