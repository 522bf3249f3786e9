//! Loss, its gradient and HSR's in one call, beside the loop that it replaces, on real data:
//! `cargo build --release --workspace --examples`, then `target/release/examples/one_call`.

use std::time::Instant;

use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{AdamConfig, GradientsParams};
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
    let (x, y) = network::tensors(&data, &device);
    device.seed(0);
    let start = ThreeLayerNetConfig::new(data.inputs, 16, data.classes()).init(&device);
    let loss_config = CrossEntropyLossConfig::new();
    let mut hsr = HsrConfig::for_cross_entropy(&loss_config)?
        .with_strength(0.05)
        .init()?;

    // The loop as it is without `loss_gradients`.
    let started = Instant::now();
    let injected = {
        let (mut model, mut optimizer) = (start.clone(), AdamConfig::new().init());
        let loss_fn = loss_config.init(&device);
        for _ in 0..300 {
            let loss = loss_fn.forward(model.forward(x.clone()), y.clone());
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            let gradients = hsr.inject(&model, x.clone(), y.clone(), gradients)?;
            model = optimizer.step(0.01, model, gradients);
        }
        model
    };
    let seconds_injected = started.elapsed().as_secs_f64();

    let started = Instant::now();
    let one_call = {
        let (mut model, mut optimizer) = (start.clone(), AdamConfig::new().init());
        for _ in 0..300 {
            let of_batch = hsr.loss_gradients(&model, x.clone(), y.clone())?;
            model = optimizer.step(0.01, model, of_batch.gradients);
        }
        model
    };
    let seconds_one_call = started.elapsed().as_secs_f64();

    let (mut ends, mut spectra) = (Vec::new(), Vec::new());
    for (name, model) in [
        ("start", &start),
        ("injected", &injected),
        ("in one call", &one_call),
    ] {
        let loss = hsr.loss(model, x.clone(), y.clone())?;
        let loss = f64::from(loss.into_scalar::<f32>());
        let spectrum = spectrum_of(name, &hsr, model, x.clone(), y.clone())?;
        let lambda_sup = spectrum.lambda_sup;
        println!("{name}: loss {loss:.4}, λ_sup {lambda_sup:.4}");
        ends.push([loss, lambda_sup]);
        spectra.push(spectrum);
    }
    let share = seconds_one_call / seconds_injected;
    eprintln!("one call took {share:.2} of the time");

    // Both ways lead down, and to the same place.
    if ends[1][0] > 0.5 * ends[0][0] {
        return Err("the network has not learned the task".into());
    }
    for (injected, one_call) in ends[1].iter().zip(ends[2]) {
        if (injected / one_call - 1.0).abs() > 1e-2 {
            return Err("the two ways did not end at the same place".into());
        }
    }
    picture(|| figures::spectrum(&spectra[1..]))
}
