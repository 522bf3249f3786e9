//! Parameters as a safetensors file.

use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::about::About;

/// The metadata key of [`About`].
pub(super) const KEY: &str = "hsr";

/// F32 tensors of these names, values and shapes as a safetensors file, with `about` under [`KEY`].
pub(crate) fn tensors_file<'a>(
    tensors: impl Iterator<Item = (String, &'a [f64], Vec<usize>)>,
    about: Option<&About>,
) -> Vec<u8> {
    let tensors: Vec<(String, Vec<u8>, Vec<usize>)> = tensors
        .map(|(name, values, shape)| {
            let bytes = values.iter().flat_map(|&v| (v as f32).to_le_bytes());
            (name, bytes.collect(), shape)
        })
        .collect();
    let views = tensors.iter().map(|(name, bytes, shape)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
        (name, view.expect("as many bytes as the shape says"))
    });
    let metadata = about.map(|about| {
        let about = serde_json::to_string(about).expect("names and numbers always serialise");
        [(KEY.to_owned(), about)].into_iter().collect()
    });
    safetensors::serialize(views, metadata).expect("tensors in memory always serialise")
}
