//! `hsr backends`.

use std::fmt::Write;
use std::panic;

use hsr_lab::LabError;
use hsr_lab::burn_hsr::{Backend, DeviceDescription};
use serde::Serialize;

use crate::args::{BackendsOptions, description};
use crate::output::Manner;
use crate::style::STYLES;

/// A backend and the device it opens by default.
#[derive(Serialize)]
struct Entry {
    name: &'static str,
    what: &'static str,
    /// Whether it is in this build.
    compiled: bool,
    /// Whether its device opens.
    opens: bool,
    /// The device, as its driver names it.
    device: Option<String>,
    f64: Option<bool>,
    f16: Option<bool>,
    /// Why it does not open.
    error: Option<String>,
}

pub fn run(options: &BackendsOptions, quiet: bool) -> Result<String, LabError> {
    let entries: Vec<Entry> = Backend::ALL.into_iter().map(entry).collect();
    let json = options.json;
    Manner { json, quiet }.list("backends", &entries, names, table)
}

fn entry(backend: Backend) -> Entry {
    // A driver that is not there makes its runtime panic; the list has a line for that.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| ()));
    let device = backend.device();
    panic::set_hook(hook);
    let described = device.as_ref().ok().map(DeviceDescription::of);
    let (f64, f16) = described.as_ref().map(|it| (it.f64, it.f16)).unzip();
    Entry {
        name: backend.name(),
        what: description(backend),
        compiled: backend.is_compiled(),
        opens: device.is_ok(),
        device: described.and_then(|it| it.name),
        f64,
        f16,
        error: device.err().map(|error| error.to_string()),
    }
}

fn names(entries: &[Entry]) -> String {
    let usable = entries.iter().filter(|entry| entry.opens);
    usable.map(|entry| format!("{}\n", entry.name)).collect()
}

fn table(entries: &[Entry]) -> String {
    let header = STYLES.get_header();
    let mut text = format!(
        "{header}{:8} {:4} {:4} device{header:#}\n",
        "backend", "f64", "f16"
    );
    for entry in entries {
        let has = |it: Option<bool>| match it {
            Some(true) => "yes",
            Some(false) => "no",
            None => "-",
        };
        let device = match (&entry.error, &entry.device) {
            (Some(_), _) if !entry.compiled => {
                format!("not in this build: --features {}", entry.name)
            }
            (Some(error), _) => error.clone(),
            (None, Some(device)) => format!("{device} ({})", entry.what),
            (None, None) => entry.what.to_owned(),
        };
        let device = if entry.compiled || entry.name != "default" {
            device
        } else {
            "no backend in this build".to_owned()
        };
        let _ = writeln!(
            text,
            "{:8} {:4} {:4} {device}",
            entry.name,
            has(entry.f64),
            has(entry.f16)
        );
    }
    text
}
