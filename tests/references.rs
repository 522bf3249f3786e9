//! The networks of `data/curvature.json` and what other programs say of them, those of `data/operators.json` too.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::mlp::Problem;

#[derive(Deserialize)]
struct Reference<T> {
    cases: Vec<T>,
}

/// A tanh network with softmax cross-entropy, and its Hessian.
#[derive(Deserialize)]
#[allow(missing_docs)] // data/README.md has them.
pub struct Case {
    pub name: String,
    pub sizes: Vec<usize>,
    pub batch_size: usize,
    pub weights: Vec<Vec<Vec<f64>>>,
    pub biases: Vec<Vec<f64>>,
    pub x: Vec<Vec<f64>>,
    pub y: Vec<usize>,
    pub loss: f64,
    pub curvlinops: Curvlinops,
    pub pyhessian: PyHessian,
}

/// The Hessian by curvlinops.
#[derive(Deserialize)]
#[allow(missing_docs)]
pub struct Curvlinops {
    pub lambda_max: f64,
    pub lambda_min: f64,
    pub trace: f64,
    pub eigenvalues: Vec<f64>,
    pub v: Vec<f64>,
    pub product: Vec<f64>,
}

/// The Hessian by PyHessian.
#[derive(Deserialize)]
#[allow(missing_docs)]
pub struct PyHessian {
    pub lambda_max: f64,
    pub trace_mean: f64,
    pub trace_standard_error: f64,
}

/// Other matrices of the same networks, by JAX.
#[derive(Deserialize)]
#[allow(missing_docs)]
pub struct Operators {
    pub name: String,
    /// By the name of the loss.
    pub gauss_newton: BTreeMap<String, Matrix>,
    pub empirical_fisher: Matrix,
    pub hessian: Matrix,
    /// Each layer's block of the Hessian.
    pub layers: Vec<Matrix>,
}

/// A matrix.
#[derive(Deserialize)]
#[allow(missing_docs)]
pub struct Matrix {
    pub eigenvalues: Vec<f64>,
    pub trace: f64,
    pub frobenius_squared: f64,
    /// With the vector v of the case.
    #[serde(default)]
    pub product: Vec<f64>,
    #[serde(default)]
    pub diagonal: Vec<f64>,
}

/// The cases.
pub fn references() -> &'static [Case] {
    static CASES: OnceLock<Vec<Case>> = OnceLock::new();
    CASES.get_or_init(|| read(include_str!("data/curvature.json")))
}

/// The matrices of each case.
pub fn operators() -> &'static [Operators] {
    static CASES: OnceLock<Vec<Operators>> = OnceLock::new();
    CASES.get_or_init(|| read(include_str!("data/operators.json")))
}

fn read<T: for<'a> Deserialize<'a>>(text: &str) -> Vec<T> {
    let reference: Reference<T> = serde_json::from_str(text).unwrap();
    assert_eq!(reference.cases.len(), 2);
    reference.cases
}

impl Case {
    /// The place in PyTorch's order of each of Burn's parameters.
    pub fn order(&self) -> Vec<usize> {
        let mut start = 0;
        let mut order = Vec::new();
        for pair in self.sizes.windows(2) {
            let (inputs, outputs) = (pair[0], pair[1]);
            for i in 0..inputs {
                order.extend((0..outputs).map(|j| start + j * inputs + i));
            }
            start += inputs * outputs;
            order.extend(start..start + outputs);
            start += outputs;
        }
        order
    }

    /// Parameters in PyTorch's order.
    pub fn theta(&self) -> Vec<f64> {
        let layers = self.weights.iter().zip(&self.biases);
        layers
            .flat_map(|(weight, bias)| [weight.concat(), bias.clone()].concat())
            .collect()
    }

    /// A vector in PyTorch's order, in Burn's.
    pub fn in_burns_order(&self, vector: &[f64]) -> Vec<f64> {
        self.order().iter().map(|&i| vector[i]).collect()
    }

    /// The network with its data.
    pub fn problem(&self) -> Problem {
        Problem {
            sizes: self.sizes.clone(),
            theta: self.in_burns_order(&self.theta()),
            x: self.x.concat(),
            y: self.y.clone(),
        }
    }
}
