//! AdamW with a schedule of the strength (warm-up, every fourth step, off for the last phase), interrupted in the
//! middle and resumed from records: `cargo build --release --workspace --examples`, then
//! `target/release/examples/adamw_schedule`.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Int, Tensor};
use burn_hsr::{
    Backend, Hsr, HsrConfig, HsrRecord, Mode, ScheduleConfig, ThreeLayerNet, ThreeLayerNetConfig,
};
use hsr_examples::picture;
use hsr_lab::data::Standardizer;
use hsr_lab::figures::{self, Chart, Mark, Plot, Series};
use hsr_lab::network;
use hsr_lab::tasks::{self, TaskOptions};

type Error = Box<dyn std::error::Error>;

/// Everything that a run consists of.
struct Run {
    model: ThreeLayerNet,
    optimizer: ModuleOptimizer,
    hsr: Hsr,
}

impl Run {
    fn train(&mut self, steps: usize, x: &Tensor<2>, y: &Tensor<1, Int>) -> Result<(), Error> {
        let loss_fn = CrossEntropyLossConfig::new().init(&x.device());
        for _ in 0..steps {
            let loss = loss_fn.forward(self.model.forward(x.clone()), y.clone());
            let gradients = GradientsParams::from_grads(loss.backward(), &self.model);
            let (model, x, y) = (self.model.clone(), x.clone(), y.clone());
            let optimizer = &mut self.optimizer;
            // Decoupled, as AdamW's own weight decay: neither clipped nor preconditioned.
            self.model = self.hsr.step(optimizer, 0.01, model, x, y, gradients)?;
        }
        Ok(())
    }

    /// λ_sup at the start and after every fourth step of 200.
    fn course(&mut self, x: &Tensor<2>, y: &Tensor<1, Int>) -> Result<Vec<[f64; 2]>, Error> {
        let mut points = vec![[0.0, self.lambda_sup(x, y)?]];
        for step in (4..=200).step_by(4) {
            self.train(4, x, y)?;
            points.push([f64::from(step), self.lambda_sup(x, y)?]);
        }
        Ok(points)
    }

    fn lambda_sup(&self, x: &Tensor<2>, y: &Tensor<1, Int>) -> Result<f64, Error> {
        let bounds = self.hsr.bounds(&self.model, x.clone(), y.clone())?;
        Ok(bounds.lambda_sup)
    }
}

fn main() -> Result<(), Error> {
    let backend = std::env::args().nth(1).unwrap_or("flex".to_owned());
    let device = backend.parse::<Backend>()?.device()?.autodiff();
    let mut data = tasks::load("breast-cancer", &TaskOptions::default(), 0)?;
    Standardizer::fit(&data).apply(&mut data)?;
    let (inputs, classes) = (data.inputs, data.classes());
    let (x, y) = network::tensors(&data, &device);

    let schedule = ScheduleConfig::new()
        .with_warmup_steps(20)
        .with_interval(4)
        .with_stop_after(Some(160));
    let config = HsrConfig::new()
        .with_strength(0.5)
        .with_mode(Mode::Decoupled)
        .with_schedule(schedule);
    device.seed(0);
    let model = ThreeLayerNetConfig::new(inputs, 8, classes).init(&device);
    let start = |config: &HsrConfig| -> Result<Run, Error> {
        Ok(Run {
            model: model.clone(),
            optimizer: AdamWConfig::new().init(),
            hsr: config.init()?,
        })
    };

    let mut plain = start(&config.clone().with_strength(0.0))?;
    let plain_course = plain.course(&x, &y)?;
    let mut whole = start(&config)?;
    let whole_course = whole.course(&x, &y)?;

    // Half of the way, records, and a new process's worth of fresh objects.
    let mut first = start(&config)?;
    first.train(100, &x, &y)?;
    let (optimizer, record) = (
        first.optimizer.into_bytes()?,
        first.hsr.to_record()?.into_bytes(),
    );
    let mut second = Run {
        model: first.model,
        optimizer: AdamWConfig::new().init().from_bytes(optimizer)?,
        hsr: config.init()?.load_record(HsrRecord::from_bytes(&record)?),
    };
    second.train(100, &x, &y)?;

    let (without, with) = (plain.lambda_sup(&x, &y)?, whole.lambda_sup(&x, &y)?);
    let resumed = second.lambda_sup(&x, &y)?;
    println!("λ_sup after 200 steps: {without:.4} plain, {with:.4} with HSR, {resumed:.4} resumed");
    let [_, at_stop] = whole_course[160 / 4];
    println!("It was {at_stop:.4} after 160 steps, where HSR stops");
    if resumed != with {
        return Err("the resumed run is another".into());
    }
    if with >= without {
        return Err("HSR did not narrow the spectrum".into());
    }
    let factor = (0..200).map(|t| [t as f64, config.schedule.factor(t)]);
    picture(|| {
        figures::chart(&Chart {
            title: "A schedule at work".to_owned(),
            note: "AdamW on breast cancer, decoupled, strength 0.5 times the factor on the right."
                .to_owned(),
            columns: 2,
            plots: vec![
                plot(
                    "λ_sup",
                    true,
                    [("plain", plain_course), ("HSR", whole_course)],
                ),
                plot("factor of the strength", false, [("HSR", factor.collect())]),
            ],
        })
    })
}

/// One quantity against the steps.
fn plot<const N: usize>(y: &str, y_log: bool, lines: [(&str, Vec<[f64; 2]>); N]) -> Plot {
    let series = lines.map(|(label, points)| Series {
        label: label.to_owned(),
        mark: Mark::Line,
        points,
        band: Vec::new(),
    });
    Plot {
        x: "step".to_owned(),
        y: y.to_owned(),
        y_log,
        series: series.into(),
        ..Plot::default()
    }
}
