//! Second derivatives without differences: numbers a + b ε₁ + c ε₂ + d ε₁ε₂ with ε₁² = ε₂² = 0, exact to rounding and
//! independent of Burn and of hsr-core. Reference: J. A. Fike, J. J. Alonso, AIAA 2011-886.

use core::iter::Sum;
use core::ops::{Add, Mul, Sub};

/// A hyper-dual number.
#[derive(Clone, Copy, Debug, Default)]
pub struct HyperDual {
    /// f.
    pub value: f64,
    /// ∂f/∂x along the first and the second direction.
    pub first: [f64; 2],
    /// ∂²f/∂x∂y along both.
    pub mixed: f64,
}

impl HyperDual {
    /// A constant.
    pub fn constant(value: f64) -> Self {
        Self {
            value,
            ..Self::default()
        }
    }

    /// f of this, given f, f' and f'' there.
    fn chain(self, f: f64, slope: f64, bend: f64) -> Self {
        let [a, b] = self.first;
        Self {
            value: f,
            first: [slope * a, slope * b],
            mixed: slope * self.mixed + bend * a * b,
        }
    }

    /// tanh.
    pub fn tanh(self) -> Self {
        let t = self.value.tanh();
        let u = 1.0 - t * t;
        self.chain(t, u, -2.0 * t * u)
    }

    /// eˣ.
    pub fn exp(self) -> Self {
        let e = self.value.exp();
        self.chain(e, e, e)
    }

    /// The natural logarithm.
    pub fn ln(self) -> Self {
        let x = self.value;
        self.chain(x.ln(), 1.0 / x, -1.0 / (x * x))
    }
}

impl Add for HyperDual {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            value: self.value + other.value,
            first: [0, 1].map(|i| self.first[i] + other.first[i]),
            mixed: self.mixed + other.mixed,
        }
    }
}

impl Mul for HyperDual {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let (a, b) = (self.value, other.value);
        Self {
            value: a * b,
            first: [0, 1].map(|i| self.first[i] * b + a * other.first[i]),
            mixed: self.mixed * b
                + self.first[0] * other.first[1]
                + self.first[1] * other.first[0]
                + a * other.mixed,
        }
    }
}

impl Sub for HyperDual {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + Self::constant(-1.0) * other
    }
}

impl Sum for HyperDual {
    fn sum<I: Iterator<Item = Self>>(numbers: I) -> Self {
        numbers.fold(Self::default(), Add::add)
    }
}

/// The Hessian of a function of a vector, row-major.
pub fn hessian(x: &[f64], f: impl Fn(&[HyperDual]) -> HyperDual) -> Vec<f64> {
    let size = x.len();
    let mut point: Vec<HyperDual> = x.iter().map(|&v| HyperDual::constant(v)).collect();
    let mut hessian = vec![0.0; size * size];
    for i in 0..size {
        point[i].first[0] = 1.0;
        for j in 0..=i {
            point[j].first[1] = 1.0;
            let entry = f(&point).mixed;
            hessian[i * size + j] = entry;
            hessian[j * size + i] = entry;
            point[j].first[1] = 0.0;
        }
        point[i].first[0] = 0.0;
    }
    hessian
}

/// The gradient of a function of a vector.
pub fn gradient(x: &[f64], f: impl Fn(&[HyperDual]) -> HyperDual) -> Vec<f64> {
    let mut point: Vec<HyperDual> = x.iter().map(|&v| HyperDual::constant(v)).collect();
    (0..x.len())
        .map(|i| {
            point[i].first[0] = 1.0;
            let entry = f(&point).first[0];
            point[i].first[0] = 0.0;
            entry
        })
        .collect()
}
