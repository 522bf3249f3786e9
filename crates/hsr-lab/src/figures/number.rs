//! Numbers as a reader writes them: true minus signs, few digits, powers of ten with an exponent.

/// A value to three significant digits.
pub fn value(v: f64) -> String {
    if v == 0.0 {
        return "0".to_owned();
    }
    // Rounded first: 9.999 has the exponent of 10.0.
    let scientific = format!("{v:.2e}");
    let (mantissa, exponent) = parts(&scientific);
    if (-3..=4).contains(&exponent) {
        let decimals = usize::try_from(2 - exponent).unwrap_or(0);
        signed(trimmed(&format!("{v:.decimals$}")))
    } else {
        format!("{}×10{}", signed(trimmed(mantissa)), superscript(exponent))
    }
}

/// A tick of a linear axis whose ticks are `step` apart and reach up to `largest` in magnitude.
pub fn tick(v: f64, step: f64, largest: f64) -> String {
    if v == 0.0 {
        return "0".to_owned();
    }
    let fine = exponent(step);
    let coarse = exponent(largest);
    if coarse < 5 && fine >= -4 {
        let decimals = usize::try_from(-fine).unwrap_or(0);
        signed(&format!("{v:.decimals$}"))
    } else {
        let decimals = usize::try_from(exponent(v) - fine).unwrap_or(0).min(3);
        let scientific = format!("{v:.decimals$e}");
        let (mantissa, exponent) = parts(&scientific);
        format!("{}×10{}", signed(trimmed(mantissa)), superscript(exponent))
    }
}

/// A tick that is a power of ten, or such times a digit, or zero.
pub fn decade(v: f64) -> String {
    if v == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{v:.0e}");
    let (mantissa, exponent) = parts(&scientific);
    if (-3..=3).contains(&exponent) {
        let decimals = usize::try_from(-exponent).unwrap_or(0);
        return signed(&format!("{v:.decimals$}"));
    }
    match mantissa {
        "1" => format!("10{}", superscript(exponent)),
        "-1" => format!("−10{}", superscript(exponent)),
        other => format!("{}×10{}", signed(other), superscript(exponent)),
    }
}

/// A count with its thousands apart.
pub fn count(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{a0}');
        }
        out.push(digit);
    }
    out
}

/// The power of ten of a number, 0 for 0.
pub fn exponent(v: f64) -> i32 {
    if v == 0.0 {
        0
    } else {
        parts(&format!("{v:.9e}")).1
    }
}

fn parts(scientific: &str) -> (&str, i32) {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    (mantissa, exponent.parse().unwrap_or(0))
}

fn trimmed(digits: &str) -> &str {
    if digits.contains('.') {
        digits.trim_end_matches('0').trim_end_matches('.')
    } else {
        digits
    }
}

fn signed(digits: &str) -> String {
    digits.replace('-', "−")
}

fn superscript(exponent: i32) -> String {
    let raised = |c| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        digit => char::from_u32(0x2070 + u32::from(digit) - u32::from('0')).unwrap_or(digit),
    };
    exponent.to_string().chars().map(raised).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_well() {
        let cases = [
            (0.0, "0"),
            (1.0, "1"),
            (-1.5, "−1.5"),
            (49.83, "49.8"),
            (9.999, "10"),
            (1234.0, "1234"),
            (0.00123, "0.00123"),
            (-1.23e-5, "−1.23×10⁻⁵"),
            (2e12, "2×10¹²"),
        ];
        for (v, text) in cases {
            assert_eq!(value(v), text);
        }
    }

    #[test]
    fn ticks_show_their_step() {
        assert_eq!(tick(0.5, 0.1, 1.0), "0.5");
        assert_eq!(tick(-20.0, 10.0, 40.0), "−20");
        assert_eq!(tick(2e-7, 1e-7, 4e-7), "2×10⁻⁷");
        assert_eq!(decade(1e-6), "10⁻⁶");
        assert_eq!(decade(-0.01), "−0.01");
        assert_eq!(decade(2e5), "2×10⁵");
        assert_eq!(count(1_234_567), "1\u{a0}234\u{a0}567");
    }
}
