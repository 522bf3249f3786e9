//! The `hsr` command. It is a program of this package as well, because Cargo builds a package's programs for the tests of
//! that package alone.

use std::process::ExitCode;

fn main() -> ExitCode {
    hsr_cli::run(std::env::args_os())
}
