//! How far the memory of a device is from the host's.

use core::fmt::{self, Write};

use burn::tensor::Device;

/// What reading a number from a device costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reach {
    /// Nothing: its memory is the host's (flex, ndarray).
    Host,
    /// A wait for all that was asked of a device of CubeCL in this machine.
    Device,
    /// The way through a library or a network into which Burn does not look.
    Far,
}

impl Reach {
    /// That of a device, with autodiff or without.
    pub fn of(device: &Device) -> Self {
        // Burn's names for its backends: which of them a program has compiled in, no library knows.
        let mut name = First(None);
        // The error is the end of the first word.
        let _ = write!(name, "{:?}", device.clone().inner().as_dispatch());
        name.0.unwrap_or(Reach::Far)
    }
}

/// What the first piece of a name says: it is asked for too often to write it out.
struct First(Option<Reach>);

impl Write for First {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        self.0 = Some(match piece.split(['(', ' ']).next() {
            Some("Flex" | "NdArray") => Reach::Host,
            Some("Cube") => Reach::Device,
            _ => Reach::Far,
        });
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::Reach;

    #[test]
    fn flex_is_in_the_hosts_memory_with_autodiff_and_without() {
        assert_eq!(Reach::of(&Device::flex()), Reach::Host);
        assert_eq!(Reach::of(&Device::flex().autodiff()), Reach::Host);
    }
}
