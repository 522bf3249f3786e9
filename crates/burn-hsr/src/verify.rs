//! Whether a model computes what its `ThreeLayer` says: its own logits beside those of the formula.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::{log_softmax, sigmoid, softmax};
use burn::tensor::{DType, Tensor};
use hsr_core::Activation;

use crate::activation::forward;
use crate::{Hsr, HsrError, ThreeLayer, ThreeLayerNet};

impl Hsr {
    /// Compares the logits that the model itself gave for these inputs with output(φ(hidden(x))), of which HSR computes
    /// the Hessian. Call it once, before training: a wrong [`activation`](ThreeLayer::activation), dropout or a
    /// normalisation between the two layers, or a softmax after them, would otherwise regularise another function in
    /// silence.
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
    /// A model in training draws dropout; of its layers only those before `hidden` may. Features of a backbone are the
    /// inputs then, and the logits must come from the same features.
    ///
    /// # Tolerance
    ///
    /// What rounding can explain of each logit. Rounding errors of n numbers add up like random ones, to √n of their
    /// sizes; eight times that is allowed. With ε of the model's type and L the largest slope of φ,
    ///
    /// ```text
    /// 8ε·√( (h + 1)·(Σ_j (W2_kj a_j)² + b2_k² + o_k²) + L² (d + 1)·Σ_j W2_kj² (Σ_e (W1_je x_e)² + b1_j² + z_j²) )
    /// ```
    ///
    /// # Shapes
    ///
    /// - inputs: `[N, d]`
    /// - logits: `[N, K]`
    ///
    /// # Errors
    ///
    /// [`HsrError::Logits`] where they differ by more, [`HsrError::Shape`] where the three do not fit together,
    /// [`HsrError::Read`].
    pub fn verify<M: ThreeLayer>(
        &self,
        model: &M,
        inputs: Tensor<2>,
        logits: Tensor<2>,
    ) -> Result<(), HsrError> {
        let (inputs, logits) = (inputs.without_autodiff(), logits.without_autodiff());
        Self::check_model(model, &inputs)?;
        let [samples, _] = inputs.dims();
        let outputs = model.dimensions().outputs;
        if logits.dims() != [samples, outputs] {
            return Err(HsrError::Shape {
                what: "the model's logits",
                got: logits.dims().to_vec(),
                expected: format!("[{samples}, {outputs}]"),
            });
        }
        let formula = Formula::new(model, inputs);
        let expected = formula.logits(model.activation());
        let tolerance = formula.tolerance(model.activation());
        let Some(worst) = worst(&logits, &expected, &tolerance)? else {
            return Ok(());
        };
        Err(HsrError::Logits {
            activation: model.activation(),
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
    network: ThreeLayerNet,
    inputs: Tensor<2>,
}

impl Formula {
    fn new<M: ThreeLayer>(model: &M, inputs: Tensor<2>) -> Self {
        let (hidden, output) = (model.hidden().clone(), model.output().clone());
        Self {
            network: ThreeLayerNet::new(hidden, model.activation(), output).valid(),
            inputs,
        }
    }

    fn logits(&self, activation: Activation) -> Tensor<2> {
        let ThreeLayerNet { hidden, output, .. } = self.network.clone();
        ThreeLayerNet::new(hidden, activation, output).forward(self.inputs.clone())
    }

    /// What rounding explains of each logit, \[N, K\].
    fn tolerance(&self, activation: Activation) -> Tensor<2> {
        /// Deviations that are allowed.
        const ALLOWED: f64 = 8.0;
        let (hidden, output) = (&self.network.hidden, &self.network.output);
        let dtype = hidden.weight.val().dtype();
        // Squares are beyond half precision's range where the numbers are not.
        let wide = match dtype {
            DType::F16 | DType::BF16 => DType::F32,
            other => other,
        };
        // Of a layer that gave `sum`: the squares of everything that was added up in it.
        let squares = |inputs: Tensor<2>, layer: &Linear, sum: Tensor<2>| {
            let weight = layer.weight.val().cast(wide).square();
            let all = inputs.cast(wide).square().matmul(weight) + sum.cast(wide).square();
            match &layer.bias {
                Some(bias) => all + bias.val().cast(wide).square().unsqueeze::<2>(),
                None => all,
            }
        };
        let [inputs, units] = hidden.weight.shape().dims();
        let z = hidden.forward(self.inputs.clone());
        let a = forward(activation, z.clone());
        let of_hidden = squares(self.inputs.clone(), hidden, z);
        let of_output = squares(a.clone(), output, output.forward(a));
        let through = output.weight.val().cast(wide).square();
        let factor = slope(activation).powi(2) * (inputs + 1) as f64;
        let both = of_hidden.matmul(through) * factor + of_output * (units + 1) as f64;
        both.sqrt() * (ALLOWED * epsilon(dtype))
    }

    /// What the logits are instead, if that can be found out.
    fn hint(&self, logits: &Tensor<2>, formula: Tensor<2>) -> Result<String, HsrError> {
        let tolerance = self.tolerance(self.network.activation());
        let like = |other: Tensor<2>, tolerance: &Tensor<2>| {
            worst(logits, &other, tolerance).map(|worst| worst.is_none())
        };
        for activation in Activation::ALL {
            if activation != self.network.activation()
                && like(self.logits(activation), &self.tolerance(activation))?
            {
                return Ok(format!(
                    "they are those of φ = {activation}: that is what activation() should say"
                ));
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
            "look for another activation, dropout in training, or a normalisation between the two \
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
