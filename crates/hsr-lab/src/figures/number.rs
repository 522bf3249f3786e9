//! Numbers as a reader writes them: true minus signs, few digits, powers of ten with an exponent.

/// A value to three significant digits.
pub fn value(v: f64) -> String {
    // Rounded first: 9.999 has the exponent of 10.0.
    rounded(v, 2 - exponent(&format!("{v:.2e}")))
}

/// A value on an axis of a length, to a hundredth of it.
pub fn tick(v: f64, length: f64) -> String {
    rounded(v, 2 - exponent(&format!("{length:e}")))
}

/// A number to so many decimals, with a power of ten where it is very large or small.
fn rounded(v: f64, decimals: i32) -> String {
    let digits = |count: i32| usize::try_from(count).unwrap_or(0);
    let power = exponent(&format!("{v:.9e}"));
    let text = if power < -decimals {
        "0".to_owned()
    } else if (-3..=4).contains(&power) {
        trimmed(&format!("{v:.*}", digits(decimals))).to_owned()
    } else {
        let scientific = format!("{v:.*e}", digits(decimals + power).min(3));
        let (mantissa, power) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let power: String = power.chars().map(raised).collect();
        match trimmed(mantissa) {
            "1" => format!("10{power}"),
            "-1" => format!("-10{power}"),
            mantissa => format!("{mantissa}×10{power}"),
        }
    };
    text.replace('-', "−")
}

/// The power of ten of a number in scientific notation.
pub fn exponent(scientific: &str) -> i32 {
    let power = scientific.split_once('e').map(|(_, power)| power.parse());
    power.and_then(Result::ok).unwrap_or(0)
}

/// Decimals without the zeros at their end.
fn trimmed(digits: &str) -> &str {
    match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.'),
        false => digits,
    }
}

fn raised(c: char) -> char {
    let place = c.to_digit(10).map_or(10, |digit| digit as usize);
    "⁰¹²³⁴⁵⁶⁷⁸⁹⁻".chars().nth(place).unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let values = [0.0, 1.0, -1.5, 49.83, 9.999, 1234.0, 2e12].map(value);
        assert_eq!(values.join(" "), "0 1 −1.5 49.8 10 1234 2×10¹²");
        let small = [0.00123, -1.23e-5, -1e-6].map(value);
        assert_eq!(small.join(" "), "0.00123 −1.23×10⁻⁵ −10⁻⁶");
        let ticks = [(0.5, 1.0), (-20.0, 60.0), (2e-7, 9e-7), (1e-17, 4.0)];
        let ticks = ticks.map(|(v, length)| tick(v, length));
        assert_eq!(ticks.join(" "), "0.5 −20 2×10⁻⁷ 0");
        assert_eq!(tick(1.25e9, 3e8), "1.25×10⁹");
        assert_eq!(tick(1000.25, 1.0), "1000.25");
    }
}
