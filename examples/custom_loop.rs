//! Burn's custom training loop with HSR regularisation, the three changed lines marked, on real data:
//! `cargo build --release --workspace --examples`, then `target/release/examples/custom_loop`.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn_hsr::{Backend, HsrConfig, ThreeLayerNetConfig};
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

    let (mut spectra, mut pictured) = (Vec::new(), Vec::new());
    for strength in [0.0, 0.1] {
        device.seed(0);
        let mut model = ThreeLayerNetConfig::new(inputs, 8, classes).init(&device);
        let mut optimizer = SgdConfig::new().init();
        let loss_fn = CrossEntropyLossConfig::new().init(&device);
        let mut hsr = HsrConfig::new().with_strength(strength).init()?; // changed: 1
        for _ in 0..300 {
            let loss = loss_fn.forward(model.forward(x.clone()), y.clone());
            let loss = loss + hsr.penalty(&model, x.clone(), y.clone())?; // changed: 2
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(0.1, model, gradients);
        }
        let bounds = hsr.bounds(&model, x.clone(), y.clone())?; // changed: 3
        println!("strength {strength}: λ_max is {:.4}", bounds.lambda_max());
        spectra.push(bounds.lambda_sup);
        let name = if strength == 0.0 { "plain" } else { "HSR" };
        pictured.push(spectrum_of(name, &hsr, &model, x.clone(), y.clone())?);
    }
    if spectra[1] >= spectra[0] {
        return Err("HSR did not narrow the spectrum".into());
    }
    picture(|| figures::spectrum(&pictured))
}
