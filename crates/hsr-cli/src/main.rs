//! The `hsr` command; everything is in the library, where tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    hsr_cli::run(std::env::args_os())
}
