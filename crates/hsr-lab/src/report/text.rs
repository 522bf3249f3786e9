//! Text as HTML.

/// Text in which nothing is markup, in an element or an attribute.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // HTML forbids them.
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// The same with `λ_` and the letters after it as a subscript, and what is between backticks as code.
pub fn inline(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split('`').enumerate() {
        if index % 2 == 1 {
            out.push_str(&format!("<code>{}</code>", escaped(part)));
        } else {
            subscripts(part, &mut out);
        }
    }
    out
}

fn subscripts(text: &str, out: &mut String) {
    let mut parts = text.split("λ_");
    out.push_str(&escaped(parts.next().unwrap_or_default()));
    for part in parts {
        let end = part
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(part.len());
        let (index, rest) = part.split_at(end);
        if index.is_empty() {
            out.push_str("λ_");
        } else {
            out.push_str(&format!("λ<sub>{index}</sub>"));
        }
        out.push_str(&escaped(rest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        assert_eq!(
            inline("<b>\"λ_max\" & 'λ_'</b> `x<y` \u{1}"),
            "&lt;b&gt;&quot;λ<sub>max</sub>&quot; &amp; &#39;λ_&#39;&lt;/b&gt; <code>x&lt;y</code> \u{fffd}"
        );
    }
}
