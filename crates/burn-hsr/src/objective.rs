//! The loss that the regulariser belongs to, as a differentiable tensor.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::Tensor;
use burn::tensor::activation::{log_sigmoid, log_softmax};
use hsr_core::OutputLoss;

use crate::device::tensors::reduce;
use crate::targets::{Labels, Targets};
use crate::{Hsr, HsrConfig};

/// L = Σ_n ω_n ℓ(o_n, y_n), \[1\], with the reduction of [`hsr_core::Batch`].
///
/// The plain cross-entropy of class indices is Burn's own, operation for operation.
pub(super) fn loss(hsr: &Hsr, logits: Tensor<2>, targets: &Targets) -> Tensor<1> {
    let config = hsr.config();
    let targets = &hsr.prepare(targets.clone());
    if let (true, Labels::Classes(classes)) = (is_plain(config, targets), &targets.labels) {
        let cross_entropy = CrossEntropyLossConfig::new().init(&logits.device());
        return cross_entropy.forward(logits, classes.clone());
    }
    let [_, outputs] = logits.dims();
    let like = logits.clone().without_autodiff();
    let (y, omega) = reduce(config, targets.clone(), outputs, &like);
    let of_outputs = match config.loss {
        OutputLoss::SoftmaxCrossEntropy => (log_softmax(logits, 1) * y).neg().sum_dim(1),
        OutputLoss::SigmoidCrossEntropy => {
            ((y.neg() + 1.0) * logits.clone() - log_sigmoid(logits)).mean_dim(1)
        }
        OutputLoss::MeanSquaredError => (logits - y).square().mean_dim(1),
    };
    (of_outputs * omega).sum()
}

fn is_plain(config: &HsrConfig, targets: &Targets) -> bool {
    config.loss == OutputLoss::SoftmaxCrossEntropy
        && config.softmax_smoothing() == 0.0
        && config.class_weights.is_none()
        && targets.sample_weights.is_none()
}
