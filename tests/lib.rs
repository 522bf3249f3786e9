//! What the tests of the workspace share: golden cases, a tolerance that states its scale, derivatives by differences
//! and by hyper-dual numbers, a perceptron of any depth, networks that other programs
//! have looked at, a browser.

pub mod browser;
pub mod golden;
pub mod golden_depth;
mod golden_files;
pub mod hyper_dual;
pub mod mlp;
pub mod references;

use burn::tensor::{DType, Device, Tensor, TensorData};
use burn_hsr::Backend;

/// The backends to test, each with the types that it has. Where one has no device this says so, and fails where
/// `HSR_REQUIRE_WGPU` is set, as in CI. What runs on a server of Burn has a test of its own, and Burn's own choice is one
/// of the others.
pub fn backends() -> Vec<(Backend, Device, Vec<DType>)> {
    let mut found = Vec::new();
    let required = std::env::var_os("HSR_REQUIRE_WGPU").is_some();
    for backend in Backend::ALL {
        if matches!(backend, Backend::Default | Backend::Remote) {
            continue;
        }
        if !backend.is_compiled() {
            println!("SKIPPED: {backend} is not in this build");
            assert!(backend != Backend::Wgpu || !required);
            continue;
        }
        match backend.device() {
            Ok(device) => {
                let mut dtypes = vec![DType::F64, DType::F32];
                // Graphics APIs that have double precision have no exponential in it.
                dtypes.retain(|dtype| {
                    *dtype == DType::F32 || !is_graphics(backend) && device.supports_dtype(*dtype)
                });
                found.push((backend, device, dtypes));
            }
            Err(error) => {
                assert!(!is_host(backend), "{error}");
                println!("SKIPPED: {error}");
                assert!(!required, "{error}");
            }
        }
    }
    found
}

/// Whether a backend goes through a graphics API.
fn is_graphics(backend: Backend) -> bool {
    matches!(
        backend,
        Backend::Wgpu | Backend::Vulkan | Backend::Metal | Backend::WebGpu
    )
}

/// Whether a backend computes in the host's memory, with no driver that could be missing.
pub fn is_host(backend: Backend) -> bool {
    matches!(backend, Backend::Flex | Backend::NdArray)
}

/// The names of this build's backends that need no driver.
pub fn cpu_backends() -> Vec<&'static str> {
    let here = Backend::ALL.into_iter().filter(|it| is_host(*it));
    here.filter(|it| it.is_compiled())
        .map(Backend::name)
        .collect()
}

/// Numbers as a tensor of any type.
pub fn tensor<const D: usize>(
    values: &[f64],
    shape: [usize; D],
    device: &Device,
    dtype: DType,
) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), (device, dtype))
}

/// A tensor's numbers.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.inner().into_data().iter::<f64>().collect()
}

/// The largest |a − b|, relative to the largest |b| (or to `floor`, where that is larger).
pub fn relative_error(a: &[f64], b: &[f64], floor: f64) -> f64 {
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(floor, |max, v| max.max(v.abs()));
    let error = a
        .iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f64::max);
    assert!(!a.iter().any(|v| v.is_nan()), "NaN in {a:?}");
    if scale == 0.0 { error } else { error / scale }
}

/// Central differences of a scalar function of a vector, with steps scaled to each coordinate.
pub fn central_differences(x: &[f64], mut f: impl FnMut(&[f64]) -> f64) -> Vec<f64> {
    let step = f64::EPSILON.cbrt();
    let mut point = x.to_vec();
    (0..x.len())
        .map(|i| {
            let h = step * x[i].abs().max(1.0);
            point[i] = x[i] + h;
            let after = f(&point);
            point[i] = x[i] - h;
            let before = f(&point);
            point[i] = x[i];
            (after - before) / (2.0 * h)
        })
        .collect()
}
