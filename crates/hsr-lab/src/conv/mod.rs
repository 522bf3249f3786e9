//! A small convolutional classifier of square images.
//!
//! | part | output | parameters |
//! |---|---|--:|
//! | images, one channel | \[N, 1, s, s\] | |
//! | convolution 3 × 3, stride 1, padding 1, φ | \[N, c₁, s, s\] | 9c₁ + c₁ |
//! | convolution 3 × 3, stride 2, padding 1, φ | \[N, c₂, ⌈s/2⌉, ⌈s/2⌉\] | 9c₁c₂ + c₂ |
//! | … one for each further channel count, each halving the side | | |
//! | linear | \[N, K\] | (c_L s_L² + 1)K |
//!
//! With the channels 8 and 16 that `hsr train` takes by default, a network for the digits (s = 8, K = 10) has
//! 80 + 1,168 + 2,570 = 3,818 parameters, one for MNIST (s = 28) 80 + 1,168 + 31,370 = 32,618.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use hsr_lab::conv::ConvNetConfig;
//!
//! let config = ConvNetConfig::new(8, 10);
//! assert_eq!(config.parameters(), 3818);
//! let device = Device::flex();
//! let logits = config.init(&device).forward(Tensor::zeros([5, 64], &device));
//! assert_eq!(logits.dims(), [5, 10]);
//! ```

mod net;
mod weights;

pub use net::{ConvNet, ConvNetConfig};
pub use weights::ConvWeights;
