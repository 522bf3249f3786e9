//! Numbers as tables write them.

/// The finite number a text spells, in the notation of Rust's `f64`.
pub(super) fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// A number with a comma before its decimals.
pub(super) fn with_comma(text: &str) -> Option<f64> {
    if text.contains('.') {
        return None;
    }
    finite(&text.replacen(',', ".", 1))
}
