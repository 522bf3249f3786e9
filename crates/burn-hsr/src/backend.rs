//! Burn's backends by name, chosen at run time.

use core::fmt;
use core::str::FromStr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::{DType, Device};

/// A backend that a program can offer by name.
///
/// ```
/// use burn_hsr::Backend;
///
/// // Without `autodiff` for inference and for HSR's measures; a training loop wants it.
/// let device = "flex".parse::<Backend>()?.device()?.autodiff();
/// # Ok::<(), burn_hsr::BackendError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Backend {
    /// [`Device::default`]: Burn's own choice among the backends of the build, or what the environment variable
    /// `BURN_DEVICE` names.
    Default,
    /// CPU, pure Rust, Burn's default there (feature `flex`).
    Flex,
    /// CPU, deprecated upstream in favour of flex (feature `ndarray`).
    NdArray,
    /// CPU through CubeCL (feature `cpu`).
    Cpu,
    /// GPU through wgpu, which picks the graphics API: Vulkan, Metal, DirectX 12 or WebGPU (feature `wgpu`).
    Wgpu,
    /// GPU through wgpu on Vulkan (feature `vulkan`).
    Vulkan,
    /// GPU through wgpu on Metal (feature `metal`).
    Metal,
    /// GPU through wgpu on WebGPU (feature `webgpu`).
    WebGpu,
    /// NVIDIA GPU (feature `cuda`).
    Cuda,
    /// AMD GPU (feature `rocm`).
    Rocm,
    /// A device that a server of Burn offers, at the WebSocket address in the environment variable
    /// `BURN_REMOTE_ADDRESS` (feature `remote`). For Burn's other transport see its `Device::remote_options`.
    Remote,
}

/// Why a backend cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The name is not a backend's.
    #[error("unknown backend {name:?}, expected one of {}", names())]
    Unknown {
        /// The name.
        name: String,
    },
    /// What follows the colon of a name is no index of a device.
    #[error("the backend {backend} has no device {index:?}, expected a number such as {backend}:0")]
    Index {
        /// The backend.
        backend: Backend,
        /// What follows the colon.
        index: String,
    },
    /// The backend was not compiled in.
    #[error("the backend {backend} is not in this build; build with --features {backend}")]
    NotCompiled {
        /// The backend.
        backend: Backend,
    },
    /// No adapter, no driver, no server, or it refused to work.
    #[error("the backend {backend} has no usable device: {message}")]
    NoDevice {
        /// The backend.
        backend: Backend,
        /// What the layer below says.
        message: String,
    },
}

fn names() -> String {
    Backend::ALL.map(Backend::name).join(", ")
}

impl Backend {
    /// Every backend, compiled in or not, Burn's own choice first.
    pub const ALL: [Backend; 11] = [
        Backend::Default,
        Backend::Flex,
        Backend::NdArray,
        Backend::Cpu,
        Backend::Wgpu,
        Backend::Vulkan,
        Backend::Metal,
        Backend::WebGpu,
        Backend::Cuda,
        Backend::Rocm,
        Backend::Remote,
    ];

    /// The name, as parsed and printed, and that of the Cargo feature.
    pub fn name(self) -> &'static str {
        match self {
            Backend::Default => "default",
            Backend::Flex => "flex",
            Backend::NdArray => "ndarray",
            Backend::Cpu => "cpu",
            Backend::Wgpu => "wgpu",
            Backend::Vulkan => "vulkan",
            Backend::Metal => "metal",
            Backend::WebGpu => "webgpu",
            Backend::Cuda => "cuda",
            Backend::Rocm => "rocm",
            Backend::Remote => "remote",
        }
    }

    /// Whether the backend is in this build.
    pub fn is_compiled(self) -> bool {
        match self {
            Backend::Default => Self::ALL[1..].iter().any(|backend| backend.is_compiled()),
            Backend::Flex => cfg!(feature = "flex"),
            Backend::NdArray => cfg!(feature = "ndarray"),
            Backend::Cpu => cfg!(feature = "cpu"),
            Backend::Wgpu => cfg!(feature = "wgpu"),
            Backend::Vulkan => cfg!(feature = "vulkan"),
            Backend::Metal => cfg!(feature = "metal"),
            Backend::WebGpu => cfg!(feature = "webgpu"),
            Backend::Cuda => cfg!(feature = "cuda"),
            Backend::Rocm => cfg!(feature = "rocm"),
            Backend::Remote => cfg!(feature = "remote"),
        }
    }

    /// The backend's first device; see [`device_at`](Self::device_at).
    ///
    /// # Errors
    ///
    /// [`BackendError::NotCompiled`] or [`BackendError::NoDevice`].
    pub fn device(self) -> Result<Device, BackendError> {
        self.device_at(None)
    }

    /// A device of the backend, without autodiff (see [`Device::autodiff`]). `index` counts from 0: the discrete GPUs of
    /// wgpu and its graphics APIs, the cards of CUDA and ROCm, the devices of a server; backends of the CPU have one, as
    /// has [`Backend::Default`]. Without an index the backend chooses.
    ///
    /// The device is opened here, so that a machine without one gives an error and not a panic at the first tensor.
    /// Drivers that panic of their own print what they have to say all the same.
    ///
    /// # Errors
    ///
    /// [`BackendError::NotCompiled`], [`BackendError::NoDevice`], or [`BackendError::Index`] for an index beyond the
    /// only device.
    pub fn device_at(self, index: Option<usize>) -> Result<Device, BackendError> {
        if !self.is_compiled() {
            return Err(BackendError::NotCompiled { backend: self });
        }
        let only = matches!(
            self,
            Backend::Default | Backend::Flex | Backend::NdArray | Backend::Cpu
        );
        match index {
            Some(beyond @ 1..) if only => Err(BackendError::Index {
                backend: self,
                index: beyond.to_string(),
            }),
            _ => open(self, index).map_err(|message| BackendError::NoDevice {
                backend: self,
                message,
            }),
        }
    }
}

/// A device by name: that of a backend, and an index where the backend has several devices, as in `cuda:1`.
///
/// ```
/// use burn_hsr::{Backend, DeviceName};
///
/// let second: DeviceName = "cuda:1".parse()?;
/// assert_eq!(second.backend, Backend::Cuda);
/// assert_eq!(second.index, Some(1));
/// let device = "flex".parse::<DeviceName>()?.device()?;
/// # Ok::<(), burn_hsr::BackendError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceName {
    /// The backend.
    pub backend: Backend,
    /// Which of its devices, from 0; see [`Backend::device_at`].
    pub index: Option<usize>,
}

impl DeviceName {
    /// Opens the device.
    ///
    /// # Errors
    ///
    /// As [`Backend::device_at`].
    pub fn device(self) -> Result<Device, BackendError> {
        self.backend.device_at(self.index)
    }
}

/// What a device is, for a list of what a build can use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceDescription {
    /// As the driver names it; `None` where Burn does not know it.
    pub name: Option<String>,
    /// Whether it has double precision. Graphics APIs that have it add and multiply in it, and have no exponential.
    pub f64: bool,
    /// Whether it computes in half precision.
    pub f16: bool,
}

impl DeviceDescription {
    /// Asks the device.
    pub fn of(device: &Device) -> Self {
        #[cfg(feature = "kernels")]
        let name = device.identity().map(|identity| identity.name);
        #[cfg(not(feature = "kernels"))]
        let name = None;
        Self {
            name,
            f64: device.supports_dtype(DType::F64),
            f16: device.supports_dtype(DType::F16),
        }
    }
}

/// Opens a device of a backend of this build.
fn open(backend: Backend, index: Option<usize>) -> Result<Device, String> {
    match backend {
        #[cfg(feature = "flex")]
        Backend::Flex => Ok(Device::flex()),
        #[cfg(feature = "ndarray")]
        #[expect(deprecated, reason = "selectable as long as Burn has it")]
        Backend::NdArray => Ok(Device::ndarray()),
        #[cfg(feature = "cpu")]
        Backend::Cpu => started(Device::cpu),
        #[cfg(feature = "wgpu")]
        Backend::Wgpu => wgpu::open(wgpu::WgpuBackend::Auto, index),
        #[cfg(feature = "vulkan")]
        Backend::Vulkan => wgpu::open(wgpu::WgpuBackend::Vulkan, index),
        #[cfg(feature = "metal")]
        Backend::Metal => wgpu::open(wgpu::WgpuBackend::Metal, index),
        #[cfg(feature = "webgpu")]
        Backend::WebGpu => wgpu::open(wgpu::WgpuBackend::WebGpu, index),
        #[cfg(feature = "cuda")]
        Backend::Cuda => started(|| Device::cuda(index.unwrap_or(0))),
        #[cfg(feature = "rocm")]
        Backend::Rocm => started(|| Device::rocm(index.unwrap_or(0))),
        #[cfg(feature = "remote")]
        Backend::Remote => remote(index),
        _ => {
            // It counts where there are several devices.
            let _ = index;
            started(Device::default)
        }
    }
}

/// A device that has done a first piece of work. Runtimes panic instead of reporting that there is no driver.
fn started(device: impl FnOnce() -> Device) -> Result<Device, String> {
    let started = catch_unwind(AssertUnwindSafe(|| {
        let device = device();
        device.sync().map(|()| device)
    }));
    match started {
        Ok(Ok(device)) => Ok(device),
        Ok(Err(error)) => Err(one_line(&error.to_string())),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(one_line(said.unwrap_or("it failed to start")))
        }
    }
}

/// A device of the server at Burn's own variable.
#[cfg(feature = "remote")]
fn remote(index: Option<usize>) -> Result<Device, String> {
    use burn::remote::RemoteHost;

    const ADDRESS: &str = "BURN_REMOTE_ADDRESS";
    let address = std::env::var(ADDRESS)
        .map_err(|_| format!("{ADDRESS} is not set, expected an address such as ws://gpu:3000"))?;
    let options = Device::remote_options(&RemoteHost::websocket(&address));
    let device = options.device_index(index.unwrap_or(0)).init();
    device.map_err(|error| format!("{address}: {}", one_line(&error.to_string())))
}

#[cfg(any(
    feature = "wgpu",
    feature = "vulkan",
    feature = "metal",
    feature = "webgpu"
))]
mod wgpu {
    use std::panic::catch_unwind;
    use std::sync::{Mutex, PoisonError};

    pub(super) use burn::tensor::wgpu::WgpuBackend;
    use burn::tensor::wgpu::WgpuInitError;
    use burn::tensor::{Device, DeviceKind};

    use super::{one_line, started};

    /// A graphics API and the index of a discrete GPU.
    type Choice = (WgpuBackend, Option<usize>);

    /// What was opened: the runtime accepts options only before first use.
    static OPENED: Mutex<Vec<(Choice, Result<Device, String>)>> = Mutex::new(Vec::new());

    pub(super) fn open(api: WgpuBackend, index: Option<usize>) -> Result<Device, String> {
        let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, device)) = opened.iter().find(|(choice, _)| *choice == (api, index)) {
            return device.clone();
        }
        let kind = || index.map_or(DeviceKind::DefaultDevice, DeviceKind::DiscreteGpu);
        let options = Device::wgpu_options().graphics_api(api).device_kind(kind());
        // Some drivers panic instead of reporting that there is no adapter.
        let device = match catch_unwind(|| options.init()) {
            Ok(Ok(device)) => Ok(device),
            // The program has used this device before, without options.
            Ok(Err(WgpuInitError::Registration { .. })) => started(|| constructed(api, kind())),
            Ok(Err(error)) => Err(one_line(&error.to_string())),
            Err(_) => Err("the graphics driver failed to start".to_owned()),
        };
        opened.push(((api, index), device.clone()));
        device
    }

    fn constructed(api: WgpuBackend, kind: DeviceKind) -> Device {
        match api {
            #[cfg(feature = "vulkan")]
            WgpuBackend::Vulkan => Device::vulkan(kind),
            #[cfg(feature = "metal")]
            WgpuBackend::Metal => Device::metal(kind),
            #[cfg(feature = "webgpu")]
            WgpuBackend::WebGpu => Device::webgpu(kind),
            _ => Device::wgpu(kind),
        }
    }
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
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

impl From<Backend> for DeviceName {
    fn from(backend: Backend) -> Self {
        Self {
            backend,
            index: None,
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{}:{index}", self.backend),
            None => self.backend.fmt(f),
        }
    }
}

impl FromStr for DeviceName {
    type Err = BackendError;

    fn from_str(name: &str) -> Result<Self, BackendError> {
        let Some((backend, index)) = name.split_once(':') else {
            return name.parse().map(|backend: Backend| backend.into());
        };
        let backend = backend.parse()?;
        match index.parse() {
            Ok(index) => Ok(Self {
                backend,
                index: Some(index),
            }),
            Err(_) => Err(BackendError::Index {
                backend,
                index: index.to_owned(),
            }),
        }
    }
}

impl TryFrom<String> for DeviceName {
    type Error = BackendError;

    fn try_from(name: String) -> Result<Self, BackendError> {
        name.parse()
    }
}

impl From<DeviceName> for String {
    fn from(name: DeviceName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::{Backend, BackendError, DeviceName};

    #[test]
    fn names_of_devices_are_read_as_they_are_written() {
        for backend in Backend::ALL {
            for index in [None, Some(0), Some(3)] {
                let name = DeviceName { backend, index };
                assert_eq!(name.to_string().parse(), Ok(name));
                assert_eq!(DeviceName::try_from(String::from(name)), Ok(name));
            }
        }
        let index = |name: &str| name.parse::<DeviceName>().unwrap_err();
        assert!(matches!(index("cuda:"), BackendError::Index { .. }));
        assert!(matches!(index("cuda:-1"), BackendError::Index { .. }));
        assert!(matches!(index("gpu:1"), BackendError::Unknown { .. }));
        assert!(matches!(index(""), BackendError::Unknown { .. }));
    }

    #[test]
    fn a_backend_of_the_cpu_has_one_device() {
        for backend in [Backend::Flex, Backend::NdArray] {
            if backend.is_compiled() {
                assert!(backend.device_at(Some(0)).is_ok());
                let error = backend.device_at(Some(1)).unwrap_err();
                assert!(matches!(error, BackendError::Index { .. }), "{error}");
            }
        }
    }
}
