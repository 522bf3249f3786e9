//! Choices among values that go by names: on the command line, in JSON, in tables.

use burn_hsr::Mode;
use hsr_core::OutputLoss;

/// A choice among values that go by names.
pub trait Named: Copy + PartialEq + Send + Sync + 'static {
    /// The values with their names.
    const NAMES: &'static [(Self, &'static str)];

    /// The name.
    fn named(self) -> &'static str {
        let named = Self::NAMES.iter().find(|(it, _)| *it == self);
        named.map_or("", |(_, name)| name)
    }

    /// The value of a name.
    fn of(name: &str) -> Option<Self> {
        let named = Self::NAMES.iter().find(|(_, it)| *it == name);
        named.map(|(value, _)| *value)
    }
}

/// An enum of values that go by names.
macro_rules! named {
    ($(#[$meta:meta])* pub enum $Enum:ident { $($(#[$of:meta])* $Value:ident = $name:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $Enum { $($(#[$of])* #[serde(rename = $name)] $Value,)+ }

        impl $Enum {
            /// Every value.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$Value),+];

            /// The name on the command line and in files.
            pub fn name(self) -> &'static str {
                match self { $(Self::$Value => $name,)+ }
            }
        }

        impl $crate::Named for $Enum {
            const NAMES: &'static [(Self, &'static str)] = &[$((Self::$Value, $name)),+];
        }

        impl std::fmt::Display for $Enum {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

pub(crate) use named;

impl Named for OutputLoss {
    const NAMES: &'static [(Self, &'static str)] = &[
        (Self::SoftmaxCrossEntropy, "softmax"),
        (Self::SigmoidCrossEntropy, "sigmoid"),
        (Self::MeanSquaredError, "mse"),
    ];
}

impl Named for Mode {
    const NAMES: &'static [(Self, &'static str)] = &[
        (Self::Coupled, "coupled"),
        (Self::Decoupled, "decoupled"),
        (Self::Direction, "direction"),
    ];
}
