//! The program: arguments in, exit code out.

use clap::Parser;
use landbridge::cli::Cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    Cli::parse().run()
}
