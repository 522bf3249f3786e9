//! Burn's backends by name, chosen at run time.

use core::fmt;
use core::str::FromStr;

use burn::tensor::Device;

/// A backend that a program can offer by name.
///
/// ```
/// use burn_hsr::Backend;
///
/// // Without `autodiff` for inference and for HSR's measures; a training loop wants it.
/// let device = "flex".parse::<Backend>()?.device()?.autodiff();
/// # Ok::<(), burn_hsr::BackendError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// CPU, Burn's default (feature `flex`).
    Flex,
    /// CPU, deprecated upstream in favour of flex (feature `ndarray`).
    NdArray,
    /// GPU through wgpu: Vulkan, Metal, DirectX 12 or WebGPU (feature `wgpu`).
    Wgpu,
}

/// Why a backend cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The name is not a backend's.
    #[error("unknown backend {name:?}, expected one of flex, ndarray, wgpu")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The backend was not compiled in.
    #[error("the backend {backend} is not in this build; build with --features {backend}")]
    NotCompiled {
        /// The backend.
        backend: Backend,
    },
    /// No adapter, or it refused to work.
    #[error("the backend {backend} has no usable device: {message}")]
    NoDevice {
        /// The backend.
        backend: Backend,
        /// What the graphics layer says.
        message: String,
    },
}

impl Backend {
    /// Every backend, compiled in or not.
    pub const ALL: [Backend; 3] = [Backend::Flex, Backend::NdArray, Backend::Wgpu];

    /// The name, as parsed and printed.
    pub fn name(self) -> &'static str {
        match self {
            Backend::Flex => "flex",
            Backend::NdArray => "ndarray",
            Backend::Wgpu => "wgpu",
        }
    }

    /// Whether the backend is in this build.
    pub fn is_compiled(self) -> bool {
        match self {
            Backend::Flex => cfg!(feature = "flex"),
            Backend::NdArray => cfg!(feature = "ndarray"),
            Backend::Wgpu => cfg!(feature = "wgpu"),
        }
    }

    /// The backend's device, without autodiff (see [`Device::autodiff`]). For wgpu the adapter is opened here, so
    /// that a machine without one gives an error and not a panic at the first tensor.
    ///
    /// # Errors
    ///
    /// [`BackendError::NotCompiled`] or [`BackendError::NoDevice`].
    pub fn device(self) -> Result<Device, BackendError> {
        match self {
            #[cfg(feature = "flex")]
            Backend::Flex => Ok(Device::flex()),
            #[cfg(feature = "ndarray")]
            #[allow(deprecated)]
            // Deprecated upstream; it stays selectable as long as Burn ships it.
            Backend::NdArray => Ok(Device::ndarray()),
            #[cfg(feature = "wgpu")]
            Backend::Wgpu => wgpu_device(),
            #[allow(unreachable_patterns)] // Reached for what is not compiled in.
            backend => Err(BackendError::NotCompiled { backend }),
        }
    }
}

/// The wgpu device, opened once: its runtime accepts options only before first use.
#[cfg(feature = "wgpu")]
fn wgpu_device() -> Result<Device, BackendError> {
    use std::sync::OnceLock;

    use burn::tensor::DeviceKind;
    use burn::tensor::wgpu::WgpuInitError;

    static DEVICE: OnceLock<Result<Device, String>> = OnceLock::new();
    DEVICE
        .get_or_init(|| {
            // Some drivers panic instead of reporting that there is no adapter.
            let opened = std::panic::catch_unwind(|| Device::wgpu_options().init());
            match opened {
                Ok(Ok(device)) => Ok(device),
                // The program has used wgpu before, without options: that is the device.
                Ok(Err(WgpuInitError::Registration { .. })) => {
                    Ok(Device::wgpu(DeviceKind::DefaultDevice))
                }
                Ok(Err(error)) => Err(one_line(&error.to_string())),
                Err(_) => Err("the graphics driver failed to start".to_owned()),
            }
        })
        .clone()
        .map_err(|message| BackendError::NoDevice {
            backend: Backend::Wgpu,
            message,
        })
}

#[cfg(feature = "wgpu")]
fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether tensors of this device live in the host's memory.
pub(crate) fn is_host(device: &Device) -> bool {
    [Backend::Flex, Backend::NdArray]
        .into_iter()
        .any(|backend| backend.device().is_ok_and(|host| host == *device))
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Backend {
    type Err = BackendError;

    fn from_str(name: &str) -> Result<Self, BackendError> {
        Self::ALL
            .into_iter()
            .find(|backend| backend.name() == name)
            .ok_or_else(|| BackendError::Unknown {
                name: name.to_owned(),
            })
    }
}
