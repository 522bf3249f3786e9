//! Whether a model computes what its layers say: its own logits beside those of the formula.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::{log_softmax, sigmoid, softmax};
use burn::tensor::{DType, Tensor};
use hsr_core::Activation;

use crate::error::HsrError;
use crate::hsr::Hsr;
use crate::layers::{Layers, outputs};
use crate::mlp::Mlp;

impl Hsr {
    /// Compares the logits that the model itself gave for these inputs with those of its [layers](Layers), of which HSR
    /// computes the Hessian. Call it once, before training: a wrong activation, dropout or a normalisation between the
    /// layers, or a softmax after them, would otherwise regularise another function in silence.
    ///
    /// ```
    /// use burn::module::Module;
    /// use burn::nn::{Linear, LinearConfig};
    /// use burn::tensor::activation::relu;
    /// use burn::tensor::{Device, Tensor};
    /// use burn_hsr::{Activation, HsrConfig, ThreeLayer};
    ///
    /// #[derive(Module, Debug)]
    /// struct Net { first: Linear, last: Linear }
    ///
    /// impl ThreeLayer for Net {
    ///     fn hidden(&self) -> &Linear { &self.first }
    ///     fn activation(&self) -> Activation { Activation::Tanh }
    ///     fn output(&self) -> &Linear { &self.last }
    /// }
    ///
    /// let device = Device::flex();
    /// device.seed(0);
    /// let net = Net {
    ///     first: LinearConfig::new(4, 8).init(&device),
    ///     last: LinearConfig::new(8, 3).init(&device),
    /// };
    /// // Length and width of sepal and petal of two irises in cm.
    /// let x = Tensor::<2>::from_floats([[5.1, 3.5, 1.4, 0.2], [7.0, 3.2, 4.7, 1.4]], &device);
    /// let logits = net.last.forward(relu(net.first.forward(x.clone())));
    /// let error = HsrConfig::new().init()?.verify(&net, x, logits).unwrap_err();
    /// assert!(error.to_string().ends_with("they are those of φ = relu: that is what activation() should say"));
    /// # Ok::<(), burn_hsr::HsrError>(())
    /// ```
    ///
    /// A model in training draws dropout; only layers before those that are given may. Features of a backbone are the
    /// inputs then, and the logits must come from the same features.
    ///
    /// # Tolerance
    ///
    /// What rounding can explain of each logit. Rounding errors of n numbers add up like random ones, to √n of their
    /// sizes; eight times that is allowed. With ε of the model's type and s_l the largest slope of φ_l it is 8ε√E_L, where
    /// from layer to layer, E_0 = 0 being that of the inputs,
    ///
    /// ```text
    /// E_l = s_l² ( (n_{l−1} + 1)·(Σ_j (W_kj a_j)² + b_k² + z_k²) + Σ_j W_kj² E_{l−1,j} ),  and E_{l−1} more where it is residual
    /// ```
    ///
    /// # Shapes
    ///
    /// - inputs: `[N, d]`
    /// - logits: `[N, K]`
    ///
    /// # Errors
    ///
    /// [`HsrError::Logits`] where they differ by more, [`HsrError::Shape`] where model, inputs and logits do not fit together,
    /// [`HsrError::Read`].
    pub fn verify<M: Layers>(
        &self,
        model: &M,
        inputs: Tensor<2>,
        logits: Tensor<2>,
    ) -> Result<(), HsrError> {
        let (inputs, logits) = (inputs.without_autodiff(), logits.without_autodiff());
        Self::check_model(model, &inputs)?;
        let [samples, _] = inputs.dims();
        let outputs = outputs(model);
        if logits.dims() != [samples, outputs] {
            return Err(HsrError::Shape {
                what: "the model's logits",
                got: logits.dims().to_vec(),
                expected: format!("[{samples}, {outputs}]"),
            });
        }
        let formula = Formula {
            network: Mlp::of(model).valid(),
            inputs,
        };
        let activations = formula.network.activations();
        let expected = formula.logits(activations);
        let tolerance = formula.tolerance(activations);
        let Some(worst) = worst(&logits, &expected, &tolerance)? else {
            return Ok(());
        };
        Err(HsrError::Logits {
            claim: formula.claim(),
            sample: worst.index / outputs,
            output: worst.index % outputs,
            model: worst.given,
            formula: worst.expected,
            difference: worst.difference,
            tolerance: worst.tolerance,
            hint: formula.hint(&logits, expected)?,
        })
    }
}

/// The layers and the inputs as plain tensors.
struct Formula {
    network: Mlp,
    inputs: Tensor<2>,
}

impl Formula {
    /// What the model says of itself.
    fn claim(&self) -> String {
        match self.network.activations() {
            [] => "those of its one layer".to_owned(),
            [activation] => format!("output(φ(hidden(x))) with φ = {activation}"),
            several => {
                let names: Vec<_> = several.iter().map(Activation::to_string).collect();
                format!("those of its layers with φ = {}", names.join(", "))
            }
        }
    }

    fn logits(&self, activations: &[Activation]) -> Tensor<2> {
        let network = self.network.clone().with_activations(activations);
        network.forward(self.inputs.clone())
    }

    /// What rounding explains of each logit, \[N, K\].
    fn tolerance(&self, activations: &[Activation]) -> Tensor<2> {
        /// Deviations that are allowed.
        const ALLOWED: f64 = 8.0;
        let network = self.network.clone().with_activations(activations);
        let dtype = self.inputs.dtype();
        let dtype = network
            .layers
            .first()
            .map_or(dtype, |linear| linear.weight.val().dtype());
        // Squares are beyond half precision's range where the numbers are not.
        let wide = match dtype {
            DType::F16 | DType::BF16 => DType::F32,
            other => other,
        };
        let square = |linear: &Linear| linear.weight.val().cast(wide).square();
        // Of a layer that gave `sum`: the squares of everything that was added up in it.
        let squares = |inputs: Tensor<2>, linear: &Linear, sum: Tensor<2>| {
            let all = inputs.cast(wide).square().matmul(square(linear)) + sum.cast(wide).square();
            match &linear.bias {
                Some(bias) => all + bias.val().cast(wide).square().unsqueeze::<2>(),
                None => all,
            }
        };
        // The squared errors of what a layer sees, in ε², and of its pre-activations.
        let mut a = self.inputs.clone();
        let mut of_inputs: Option<Tensor<2>> = None;
        for layer in network.layers() {
            let linear = layer.linear();
            let [inputs, _] = linear.weight.shape().dims();
            let z = linear.forward(a.clone());
            let mut of_z = squares(a.clone(), linear, z) * (inputs + 1) as f64;
            if let Some(before) = &of_inputs {
                of_z = of_z + before.clone().matmul(square(linear));
            }
            let of_a = of_z * slope(layer.activation()).powi(2);
            of_inputs = Some(match of_inputs {
                Some(before) if layer.is_residual() => of_a + before,
                _ => of_a,
            });
            a = layer.forward(a);
        }
        let error = of_inputs.unwrap_or_else(|| a.zeros_like());
        error.sqrt() * (ALLOWED * epsilon(dtype))
    }

    /// What the logits are instead, if that can be found out.
    fn hint(&self, logits: &Tensor<2>, formula: Tensor<2>) -> Result<String, HsrError> {
        let said = self.network.activations();
        let tolerance = self.tolerance(said);
        let like = |other: Tensor<2>, tolerance: &Tensor<2>| {
            worst(logits, &other, tolerance).map(|worst| worst.is_none())
        };
        for activation in Activation::ALL {
            let one = |layer: usize| {
                let mut activations = said.to_vec();
                activations[layer] = activation;
                (Some(layer), activations)
            };
            // The same in all layers, and another one in each.
            let all = (None, vec![activation; said.len()]);
            for (layer, activations) in [all].into_iter().chain((0..said.len()).map(one)) {
                if activations == said
                    || !like(self.logits(&activations), &self.tolerance(&activations))?
                {
                    continue;
                }
                return Ok(match layer {
                    _ if said.len() == 1 => format!(
                        "they are those of φ = {activation}: that is what activation() should say"
                    ),
                    None => format!("they are those of φ = {activation} in every layer"),
                    Some(layer) => {
                        format!("they are those of φ = {activation} in layer {}", layer + 1)
                    }
                });
            }
        }
        // An error of the logits is no smaller after these.
        for (name, after) in [
            ("a softmax", softmax(formula.clone(), 1)),
            ("a log-softmax", log_softmax(formula.clone(), 1)),
            ("a sigmoid", sigmoid(formula)),
        ] {
            let tolerance = tolerance.clone().max_dim(1) * 2.0 + epsilon(logits.dtype()) * 16.0;
            if like(after, &tolerance.expand(logits.shape()))? {
                return Ok(format!(
                    "they went through {name}: give the logits before it, and let the loss take logits"
                ));
            }
        }
        Ok(
            "look for another activation, dropout in training, or a normalisation between the \
            layers, and for logits of other inputs"
                .to_owned(),
        )
    }
}

/// ε of a floating-point type.
fn epsilon(dtype: DType) -> f64 {
    dtype
        .finfo()
        .map_or(f64::from(f32::EPSILON), |info| info.epsilon)
}

/// A bound on |φ'|; the largest are those of gelu, erf and silu, below 1.13.
fn slope(activation: Activation) -> f64 {
    match activation {
        Activation::Identity => 1.0,
        Activation::LeakyRelu { negative_slope } => negative_slope.abs().max(1.0),
        _ => 1.13,
    }
}

/// Where two tensors differ most.
struct Difference {
    index: usize,
    given: f64,
    expected: f64,
    difference: f64,
    tolerance: f64,
}

/// The largest difference beyond its tolerance, measured in tolerances.
fn worst(
    given: &Tensor<2>,
    expected: &Tensor<2>,
    tolerance: &Tensor<2>,
) -> Result<Option<Difference>, HsrError> {
    let read = |tensor: &Tensor<2>| {
        tensor
            .clone()
            .try_into_vec_as::<f64>()
            .map_err(|error| HsrError::Read {
                what: "the logits",
                message: error.to_string(),
            })
    };
    let (given, expected, tolerance) = (read(given)?, read(expected)?, read(tolerance)?);
    let all = given.iter().zip(&expected).zip(&tolerance).enumerate();
    let beyond = all.map(|(index, ((&given, &expected), &tolerance))| Difference {
        index,
        given,
        expected,
        difference: (given - expected).abs(),
        tolerance,
    });
    // A difference that is not a number is one: equal infinities are none.
    let ratio = |at: &Difference| {
        if at.given == at.expected {
            0.0
        } else if at.difference.is_nan() || at.tolerance.is_nan() {
            f64::INFINITY
        } else {
            at.difference / at.tolerance.max(f64::MIN_POSITIVE)
        }
    };
    Ok(beyond
        .max_by(|a, b| ratio(a).total_cmp(&ratio(b)))
        .filter(|at| ratio(at) > 1.0))
}
