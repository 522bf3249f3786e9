//! Our side of the comparison in `run.py`: a request a line on standard input, an answer a line on standard output,
//! JSON both.
//!
//! | request | answer |
//! |---|---|
//! | `{"do": "about"}` | what this is |
//! | `{"do": "problem", "sizes": [d, …, K, N]}` | the parameters, inputs and labels that all peers take |
//! | `{"do": "value", "method": M, "sizes": …}` | λ_sup and its gradient |
//! | `{"do": "time", "method": M, "sizes": …, "seconds": s}` | seconds of one evaluation, the mean over s seconds |
//!
//! `sizes` are the widths from inputs to outputs, and the samples. Methods: `f64` and `f32`, λ_sup with its gradient; with
//! one hidden layer also `plain`, `hsr` and `one-call`, a training step in Burn, f32.

use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead, Write};
use std::time::Instant;

use burn_hsr::HsrConfig;
use hsr_benches::deep::DeepCase;
use hsr_benches::{Case, Extra, Loop, repeats};
use hsr_core::depth::{DeepEvaluation, Objective};
use hsr_core::{Evaluation, Real};
use serde_json::{Value, json};

/// What is timed, kept between requests so that its buffers stay warm.
enum Method {
    Double(Box<Case<f64>>),
    Single(Box<Case<f32>>),
    DeepDouble(Box<DeepCase<f64>>),
    DeepSingle(Box<DeepCase<f32>>),
    Step(Box<Loop>),
}

fn lambda_sup<T: Real>(case: &mut DeepCase<T>) -> Result<(T, &[T]), hsr_core::Error> {
    case.objective_gradient(Objective::LambdaSup, &DeepEvaluation::Auto)
}

impl Method {
    fn new(name: &str, sizes: &[usize]) -> Result<Self, Box<dyn Error>> {
        let Ok(sizes) = <[usize; 4]>::try_from(sizes) else {
            let (samples, widths) = sizes.split_last().ok_or("no sizes")?;
            return Ok(match name {
                "f64" => Self::DeepDouble(Box::new(DeepCase::new(widths, *samples))),
                "f32" => Self::DeepSingle(Box::new(DeepCase::new(widths, *samples))),
                other => return Err(format!("no method {other} at this depth").into()),
            });
        };
        Ok(match name {
            "f64" => Self::Double(Box::new(Case::new(sizes))),
            "f32" => Self::Single(Box::new(Case::new(sizes))),
            "plain" => Self::Step(Box::new(Loop::new(sizes, Extra::Nothing))),
            "hsr" => {
                let extra = Extra::Penalty(HsrConfig::new());
                Self::Step(Box::new(Loop::new(sizes, extra)))
            }
            "one-call" => {
                let extra = Extra::LossStep(HsrConfig::new());
                Self::Step(Box::new(Loop::new(sizes, extra)))
            }
            other => return Err(format!("no method {other}").into()),
        })
    }

    fn run(&mut self) {
        match self {
            Self::Double(case) => case.run(Evaluation::Auto),
            Self::Single(case) => case.run(Evaluation::Auto),
            Self::DeepDouble(case) => drop(lambda_sup(case)),
            Self::DeepSingle(case) => drop(lambda_sup(case)),
            Self::Step(step) => step.step(),
        }
    }

    fn value(&mut self) -> Result<Value, Box<dyn Error>> {
        match self {
            Self::Double(case) => {
                let (bounds, gradient) = case.bounds_gradient(Evaluation::Auto)?;
                Ok(json!({"lambda_sup": bounds.lambda_sup, "gradient": gradient}))
            }
            Self::Single(case) => {
                let (bounds, gradient) = case.bounds_gradient(Evaluation::Auto)?;
                Ok(json!({"lambda_sup": bounds.lambda_sup, "gradient": gradient}))
            }
            Self::DeepDouble(case) => {
                let (value, gradient) = lambda_sup(case)?;
                Ok(json!({"lambda_sup": value, "gradient": gradient}))
            }
            Self::DeepSingle(case) => {
                let (value, gradient) = lambda_sup(case)?;
                Ok(json!({"lambda_sup": value, "gradient": gradient}))
            }
            Self::Step(_) => Err("a step has no value".into()),
        }
    }
}

/// A method with how often it runs in a turn of so many seconds.
struct Ready {
    method: Method,
    repeats: HashMap<u64, usize>,
}

fn answer(request: &Value, ready: &mut HashMap<String, Ready>) -> Result<Value, Box<dyn Error>> {
    let verb = request["do"].as_str().ok_or("no \"do\"")?;
    if verb == "about" {
        return Ok(json!({"about": format!("hsr-core {}", env!("CARGO_PKG_VERSION"))}));
    }
    let sizes: Vec<usize> = serde_json::from_value(request["sizes"].clone())?;
    if verb == "problem" {
        let Ok(sizes) = <[usize; 4]>::try_from(&sizes[..]) else {
            let (samples, widths) = sizes.split_last().ok_or("no sizes")?;
            let case = DeepCase::<f64>::new(widths, *samples);
            let (theta, inputs, labels) = case.problem();
            return Ok(json!({"theta": theta, "inputs": inputs, "labels": labels}));
        };
        let case = Case::<f64>::new(sizes);
        let (theta, inputs, labels) = case.problem();
        return Ok(json!({"theta": theta, "inputs": inputs, "labels": labels}));
    }
    let name = request["method"].as_str().ok_or("no \"method\"")?;
    let key = format!("{name} {sizes:?}");
    if !ready.contains_key(&key) {
        let method = Method::new(name, &sizes)?;
        let repeats = HashMap::new();
        ready.insert(key.clone(), Ready { method, repeats });
    }
    let Ready {
        method,
        repeats: known,
    } = ready.get_mut(&key).ok_or("just made")?;
    match verb {
        "value" => method.value(),
        "time" => {
            let seconds = request["seconds"].as_f64().ok_or("no \"seconds\"")?;
            let repeats = *known
                .entry(seconds.to_bits())
                .or_insert_with(|| repeats(&mut || method.run(), seconds));
            let started = Instant::now();
            for _ in 0..repeats {
                method.run();
            }
            let elapsed = started.elapsed().as_secs_f64();
            Ok(json!({"seconds": elapsed / repeats as f64}))
        }
        other => Err(format!("no request {other}").into()),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut ready = HashMap::new();
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let answer = answer(&serde_json::from_str(&line?)?, &mut ready)?;
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}
