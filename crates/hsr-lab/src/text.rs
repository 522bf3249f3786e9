//! Text from outside, before a terminal sees it.

/// The text with every character escaped that a terminal would act upon or not show: control characters, marks of
/// direction, and what has no width.
///
/// ```
/// assert_eq!(hsr_lab::visible("a\u{1b}]0;b\u{7}"), "a\\u{1b}]0;b\\u{7}");
/// ```
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let hidden = c.is_control()
            || matches!(c,
                '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if hidden {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_act_upon_is_escaped_and_all_else_stays() {
        assert_eq!(visible("λ_sup 1–2 é 漢"), "λ_sup 1–2 é 漢");
        assert_eq!(visible("a\nb\tc\r\u{9b}"), "a\\nb\\tc\\r\\u{9b}");
        assert_eq!(visible("x\u{202e}y\u{200b}z"), "x\\u{202e}y\\u{200b}z");
    }
}
