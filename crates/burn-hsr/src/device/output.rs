//! Residuals r and curvature S of the losses in the logits, on a device (theory §1).

use burn::tensor::{DType, Device, Int, Tensor};
use hsr_core::OutputLoss;

use super::problem::smallest;
use crate::config::HsrConfig;
use crate::targets::{Labels, Targets};

/// What the losses are in the logits o of every sample. r, ω and S are divided by σ.
pub(super) struct Output {
    /// 1 at the class of the largest logit \[N, K\].
    pub top: Tensor<2>,
    /// Probabilities p \[N, K\], residual r \[N, K\], ω \[N, 1\].
    pub p: Tensor<2>,
    pub r: Tensor<2>,
    pub omega: Tensor<2>,
    /// S \[N, K, K\] and its diagonal \[N, K\].
    pub s: Tensor<3>,
    pub s_diagonal: Tensor<2>,
    pub sigma: Tensor<1>,
}

impl Output {
    /// At the logits \[N, K\].
    pub fn new(config: &HsrConfig, o: Tensor<2>, targets: Targets) -> Self {
        let (device, dtype) = (o.device(), o.dtype());
        let [_, classes] = o.dims();
        let output_weights = targets.output_weights.clone();
        let (y, omega) = reduce(config, targets, classes, &o);
        let one = eye(classes, &device, dtype);
        let outputs = classes as f64;
        let (top, p, r, s_diagonal) = match config.loss.kind {
            OutputLoss::SoftmaxCrossEntropy => {
                let index = Tensor::<1, Int>::arange(0..classes as i64, &device);
                let best = o.clone().argmax(1);
                let top = best
                    .cast(index.dtype())
                    .equal(index.reshape([1, classes]))
                    .float()
                    .cast(dtype);
                let others = top.clone() * -1.0 + 1.0;
                let e = (o.clone() - o.max_dim(1)).exp();
                // 1 − p of the top class is rest/(1 + rest); formed as a difference it would cancel.
                let rest = (e.clone() * others.clone()).sum_dim(1);
                let scale = (rest.clone() + 1.0).recip();
                let p = e * scale.clone();
                let complement =
                    top.clone() * (rest * scale) + others.clone() * (p.clone() * -1.0 + 1.0);
                let of_top = (y.clone() * -1.0 + 1.0) - complement.clone();
                let r = (top.clone() * of_top + others * (p.clone() - y)) * omega.clone();
                let s = p.clone() * complement * omega.clone();
                (top, p, r, s)
            }
            OutputLoss::SigmoidCrossEntropy => {
                let e = o.clone().abs().neg().exp();
                let large = (e.clone() + 1.0).recip();
                let small = e * large.clone();
                let negative = o.lower_elem(0.0);
                let p = large.clone().mask_where(negative.clone(), small.clone());
                let difference = ((y.clone() * -1.0 + 1.0) - small.clone())
                    .mask_where(negative, small.clone() - y);
                let weight = omega.clone() / outputs;
                let r = difference * weight.clone();
                (p.zeros_like(), p, r, large * small * weight)
            }
            OutputLoss::MeanSquaredError => {
                let weight = omega.clone() * (2.0 / outputs);
                let s = match output_weights {
                    Some(weights) => weights.inner().cast(dtype) * weight,
                    None => o.ones_like() * weight,
                };
                let r = (o.clone() - y) * s.clone();
                (o.zeros_like(), o.zeros_like(), r, s)
            }
        };
        // H is linear in (r, S): without σ the squares of a vanishing loss would underflow (theory §5).
        let sigma = Tensor::cat(vec![r.clone().max_abs(), s_diagonal.clone().max_abs()], 0).max();
        let zero = sigma.clone().lower_elem(smallest(dtype));
        let sigma = sigma.mask_fill(zero.clone(), 1.0);
        let inverse = sigma.clone().recip().mask_fill(zero, 0.0).unsqueeze::<2>();
        let r = r * inverse.clone();
        let s_diagonal = s_diagonal * inverse.clone();
        let omega = omega * inverse;

        let on_diagonal = s_diagonal.clone().unsqueeze_dim::<3>(2) * one.clone();
        let s = match config.loss.kind {
            OutputLoss::SoftmaxCrossEntropy => {
                let products = p.clone().unsqueeze_dim::<3>(2)
                    * (p.clone() * omega.clone()).unsqueeze_dim::<3>(1);
                on_diagonal - products * (one * -1.0 + 1.0)
            }
            _ => on_diagonal,
        };
        Self {
            top,
            p,
            r,
            omega,
            s,
            s_diagonal,
            sigma,
        }
    }
}

/// The identity of one sample, `[1, n, n]`, in the given type (Burn's `eye` takes the device's default).
pub(super) fn eye(n: usize, device: &Device, dtype: DType) -> Tensor<3> {
    let index = Tensor::<1, Int>::arange(0..n as i64, device);
    let rows = index.clone().reshape([1, n, 1]).expand([1, n, n]);
    let columns = index.reshape([1, 1, n]).expand([1, n, n]);
    rows.equal(columns).float().cast(dtype)
}

/// y \[N, K\] and ω \[N, 1\] after smoothing, class and sample weights (see [`hsr_core::Batch`]).
pub(crate) fn reduce(
    config: &HsrConfig,
    targets: Targets,
    outputs: usize,
    like: &Tensor<2>,
) -> (Tensor<2>, Tensor<2>) {
    let (device, dtype) = (like.device(), like.dtype());
    let [n, _] = like.dims();
    let hard = matches!(targets.labels, Labels::Classes(_));
    let one_hot = match targets.labels {
        Labels::Values(values) => values.inner().cast(dtype),
        Labels::Classes(classes) if outputs == 1 => match config.loss.kind {
            OutputLoss::SoftmaxCrossEntropy => Tensor::ones([n, 1], (&device, dtype)),
            _ => classes.inner().reshape([n, 1]).float().cast(dtype),
        },
        Labels::Classes(classes) => {
            let index = Tensor::<1, Int>::arange(0..outputs as i64, &device)
                .reshape([1, outputs])
                .expand([n, outputs]);
            let classes = classes
                .inner()
                .cast(index.dtype())
                .reshape([n, 1])
                .expand([n, outputs]);
            classes.equal(index).float().cast(dtype)
        }
    };
    let omega = match targets.sample_weights {
        Some(weights) => weights.inner().cast(dtype).reshape([n, 1]),
        None => Tensor::ones([n, 1], (&device, dtype)),
    };
    let class_weights = config.loss.class_weights.as_ref().map(|weights| {
        let data = burn::tensor::TensorData::new(weights.clone(), [1, outputs]);
        Tensor::<2>::from_data(data, (&device, dtype))
    });
    let normalizer = match &class_weights {
        Some(weights) if hard => omega.clone() * (one_hot.clone() * weights.clone()).sum_dim(1),
        _ => omega.clone(),
    };
    let omega = omega / normalizer.sum().reshape([1, 1]);
    let smoothing = config.loss.softmax_smoothing();
    let y = if smoothing == 0.0 {
        one_hot
    } else {
        one_hot * (1.0 - smoothing) + smoothing / outputs as f64
    };
    match class_weights {
        None => (y, omega),
        Some(weights) => {
            let weighted = y * weights;
            let value = weighted.clone().sum_dim(1);
            let nothing = value.clone().equal_elem(0.0);
            let y = weighted / value.clone().mask_fill(nothing, 1.0);
            (y, omega * value)
        }
    }
}
