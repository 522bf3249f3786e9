//! Commands that a message shows, so that they can be pasted into a shell.

use std::ffi::OsStr;
use std::fmt::Write;

/// An argument for a POSIX shell: as it is where no character in it means anything, otherwise between quotes; with control
/// characters, or bytes that are no text, as `$'…'`, which keeps it on one line.
///
/// ```
/// use hsr_lab::shell::word;
///
/// assert_eq!(word("runs/digits-hsr"), "runs/digits-hsr");
/// assert_eq!(word("it's here"), r"'it'\''s here'");
/// assert_eq!(word("two\nlines"), r"$'two\nlines'");
/// ```
pub fn word(text: impl AsRef<OsStr>) -> String {
    let text = text.as_ref();
    let plain = |c: char| c.is_alphanumeric() || "-_./=,:+@%".contains(c);
    match text.to_str() {
        // At the front zsh would look for a command of that name.
        Some(text) if !text.is_empty() && !text.starts_with('=') && text.chars().all(plain) => {
            text.to_owned()
        }
        Some(text) if !text.contains(char::is_control) => {
            format!("'{}'", text.replace('\'', r"'\''"))
        }
        _ => escaped(text),
    }
}

fn escaped(text: &OsStr) -> String {
    let mut out = "$'".to_owned();
    let byte = |out: &mut String, byte: &u8| {
        // Octal, which ends after three digits; what follows a \x may be one more digit of it.
        let _ = write!(out, "\\{byte:03o}");
    };
    for chunk in text.as_encoded_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\'' | '\\' => out.extend(['\\', c]),
                c if c.is_control() => {
                    let mut buffer = [0; 4];
                    let bytes = c.encode_utf8(&mut buffer).as_bytes();
                    bytes.iter().for_each(|it| byte(&mut out, it));
                }
                c => out.push(c),
            }
        }
        chunk.invalid().iter().for_each(|it| byte(&mut out, it));
    }
    out.push('\'');
    out
}

/// An option with its value: `--name value`, or `--name=value` where the value begins as an option does.
///
/// ```
/// use hsr_lab::shell::option;
///
/// assert_eq!(option("out", "a b"), "--out 'a b'");
/// assert_eq!(option("label", "-y"), "--label=-y");
/// ```
pub fn option(name: &str, value: impl AsRef<OsStr>) -> String {
    let value = value.as_ref();
    let separator = if value.as_encoded_bytes().starts_with(b"-") {
        '='
    } else {
        ' '
    };
    format!("--{name}{separator}{}", word(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte but 0 comes back from a shell, alone and between others.
    #[cfg(unix)]
    #[test]
    fn a_shell_reads_back_what_was_meant() {
        use std::os::unix::ffi::OsStrExt;
        use std::process::Command;
        let Ok(bash) = Command::new("bash").arg("--version").output() else {
            println!("SKIPPED: no bash");
            return;
        };
        assert!(bash.status.success());
        let mut texts: Vec<Vec<u8>> = (1..=255).map(|b| vec![b'a', b, b'0']).collect();
        texts.extend((1..=255).map(|b| vec![b]));
        texts.extend(
            [
                "",
                "it's",
                "-y",
                "=ls",
                "$HOME `x` \"!\" \\",
                "é\u{85}ü\u{1b}[31m",
                "~",
            ]
            .map(|text| text.as_bytes().to_vec()),
        );
        let words: Vec<String> = texts.iter().map(|it| word(OsStr::from_bytes(it))).collect();
        assert!(words.iter().all(|it| !it.contains(char::is_control)));
        let printed = Command::new("bash")
            .args(["-c", &format!("printf '%s\\0' {}", words.join(" "))])
            .output()
            .unwrap();
        let found: Vec<&[u8]> = printed.stdout.split(|&b| b == 0).collect();
        assert_eq!(found.len(), texts.len() + 1);
        for ((found, text), word) in found.iter().zip(&texts).zip(&words) {
            assert_eq!(found, text, "{word}");
        }
    }
}
