//! With Burn's default features a penalty is computed by kernels on the device: as few launches as without `fusion`, no
//! read-back, and the numbers of the host.

use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_hsr::{DeviceName, Execution, Hsr, HsrConfig, ThreeLayerNet, ThreeLayerNetConfig};

/// Counts what wgpu reports to the `log` facade: launches, and buffers mapped for reading.
struct Counter {
    launches: AtomicUsize,
    read_backs: AtomicUsize,
}

static COUNTER: Counter = Counter {
    launches: AtomicUsize::new(0),
    read_backs: AtomicUsize::new(0),
};

impl log::Log for Counter {
    fn enabled(&self, metadata: &log::Metadata) -> bool {
        metadata.target().starts_with("wgpu_core")
    }

    fn log(&self, record: &log::Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let call = record.args().to_string();
        if call.starts_with("ComputePass::dispatch") {
            self.launches.fetch_add(1, Ordering::SeqCst);
        }
        if call.starts_with("Buffer::map_async") && call.contains("host: Read") {
            self.read_backs.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn flush(&self) {}
}

/// What the work gives, its launches and its read-backs.
fn count<R>(device: &Device, work: impl FnOnce() -> R) -> (R, usize, usize) {
    let now = || {
        device.sync().expect("a device that finishes its work");
        let [launches, read_backs] = [&COUNTER.launches, &COUNTER.read_backs];
        (
            launches.load(Ordering::SeqCst),
            read_backs.load(Ordering::SeqCst),
        )
    };
    let (launches, read_backs) = now();
    let result = work();
    let after = now();
    (result, after.0 - launches, after.1 - read_backs)
}

fn problem(device: &Device) -> (ThreeLayerNet, Tensor<2>, Tensor<1, Int>) {
    let [samples, inputs, hidden, classes] = [24, 6, 16, 3];
    let x: Vec<f32> = (0..samples * inputs)
        .map(|i| (1.7 * i as f32).sin())
        .collect();
    let y: Vec<i32> = (0..samples as i32).map(|i| i % classes as i32).collect();
    (
        ThreeLayerNetConfig::new(inputs, hidden, classes).init(device),
        Tensor::from_data(TensorData::new(x, [samples, inputs]), device),
        Tensor::from_data(TensorData::new(y, [samples]), device),
    )
}

fn hsr(execution: Execution) -> Hsr {
    let config = HsrConfig::new()
        .with_strength(0.1)
        .with_execution(execution);
    config.init().expect("a valid configuration")
}

/// The penalty and the gradient of the hidden weights.
fn values(hsr: &mut Hsr, model: &ThreeLayerNet, x: &Tensor<2>, y: &Tensor<1, Int>) -> Vec<f32> {
    let penalty = hsr.penalty(model, x.clone(), y.clone()).expect("a penalty");
    let gradient = model
        .hidden
        .weight
        .grad(&penalty.backward())
        .expect("a gradient");
    let mut values = penalty.into_data().try_to_vec::<f32>().expect("f32");
    values.extend(gradient.into_data().try_to_vec::<f32>().expect("f32"));
    values
}

#[test]
fn a_penalty_takes_the_kernels_under_burns_default_features() {
    log::set_logger(&COUNTER).expect("the only logger");
    log::set_max_level(log::LevelFilter::Trace);
    let device = "wgpu".parse::<DeviceName>().expect("a name").device();
    let device = match device {
        Ok(device) => device.autodiff(),
        Err(error) => {
            println!("SKIPPED: {error}");
            assert!(std::env::var_os("HSR_REQUIRE_WGPU").is_none(), "{error}");
            return;
        }
    };
    let (model, x, y) = problem(&device);
    let mut on_device = hsr(Execution::Device);
    // The first calls compile and tune kernels, and tuning reads the device's clock back.
    for _ in 0..3 {
        values(&mut on_device, &model, &x, &y);
    }
    let (penalty, launches, read_backs) = count(&device, || {
        on_device
            .penalty(&model, x.clone(), y.clone())
            .expect("a penalty")
    });
    let (_, backward, read_backs_there) = count(&device, || penalty.backward());
    println!("{launches} launches and {backward} in the backward pass");
    assert_eq!(read_backs + read_backs_there, 0);
    assert!((20..=58).contains(&launches), "{launches}");
    assert!(backward <= 22, "{backward}");

    let (found, _, read_backs) = count(&device, || values(&mut on_device, &model, &x, &y));
    // The control: reading the values is seen.
    assert!(read_backs >= 2, "{read_backs}");
    let expected = values(&mut hsr(Execution::Host), &model, &x, &y);
    let largest = expected.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
    for (found, expected) in found.iter().zip(&expected) {
        assert!(
            (found - expected).abs() <= 1e-4 * largest,
            "{found} {expected}"
        );
    }
}
