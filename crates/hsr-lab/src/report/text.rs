//! Text as HTML; what would be markup is escaped by maud.

use maud::{Markup, html};

/// The text without the control characters that HTML forbids.
pub fn printable(text: &str) -> String {
    let allowed = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    let printable = |c| if allowed(c) { c } else { '\u{fffd}' };
    text.chars().map(printable).collect()
}

/// The text with `λ_` and the letters after it as a subscript, and what is between backticks as code.
pub fn inline(text: &str) -> Markup {
    let text = printable(text);
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (subscripts(part)) }
        }
    }
}

fn subscripts(text: &str) -> Markup {
    let mut parts = text.split("λ_");
    html! {
        (parts.next().unwrap_or_default())
        @for part in parts {
            @let end = part.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(part.len());
            @if end == 0 { "λ_" } @else { "λ" sub { (part[..end]) } }
            (part[end..])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        assert_eq!(
            inline("<b>\"λ_max\" & 'λ_'</b> `x<y` \u{1}").into_string(),
            "&lt;b&gt;&quot;λ<sub>max</sub>&quot; &amp; 'λ_'&lt;/b&gt; <code>x&lt;y</code> \u{fffd}"
        );
    }
}
