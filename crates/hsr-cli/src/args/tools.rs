//! What lists, completes and explains.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use clap_complete::Shell;
use hsr_lab::burn_hsr::Backend;

use crate::style::examples;

/// `hsr tasks`.
#[derive(Debug, Args)]
#[command(after_help = examples("", &[
    ("a table", "hsr tasks"),
    ("for programs: every task with its source and licence", "hsr tasks --json"),
    ("the names alone", "hsr tasks --quiet"),
]))]
pub struct TasksOptions {
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// `hsr backends`.
#[derive(Debug, Args)]
#[command(after_help = examples("", &[
    ("a table", "hsr backends"),
    ("the names of those that work here", "hsr backends --quiet"),
]))]
pub struct BackendsOptions {
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// `hsr completions`.
#[derive(Debug, Args)]
#[command(after_help = examples("", &[
    ("bash", "hsr completions bash > ~/.local/share/bash-completion/completions/hsr"),
    ("zsh, with ~/.zfunc in fpath", "hsr completions zsh > ~/.zfunc/_hsr"),
    ("fish", "hsr completions fish > ~/.config/fish/completions/hsr.fish"),
    ("for this session of bash alone", "source <(hsr completions bash)"),
]))]
pub struct CompletionsOptions {
    /// The shell.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// The commands that have a man page of their own.
pub const COMMANDS: [&str; 11] = [
    "tasks",
    "backends",
    "train",
    "compare",
    "inspect",
    "predict",
    "landscape",
    "reproduce",
    "spectrum",
    "completions",
    "man",
];

/// `hsr man`.
#[derive(Debug, Args)]
#[command(after_help = examples("", &[
    ("read the page of a command", "hsr man train | man -l -"),
    ("leave all pages where man finds them", "hsr man --out ~/.local/share/man/man1"),
]))]
pub struct ManOptions {
    /// The command whose page is printed [default: that of hsr itself].
    #[arg(value_name = "COMMAND", value_parser = PossibleValuesParser::new(COMMANDS))]
    pub command: Option<String>,
    /// Write every page into this directory instead, hsr.1, hsr-train.1 and so on.
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub out: Option<PathBuf>,
}

/// What a backend is, in a few words.
pub fn description(backend: Backend) -> &'static str {
    match backend {
        Backend::Default => "what BURN_DEVICE names, else Burn's choice among those of this build",
        Backend::Flex => "CPU",
        Backend::NdArray => "CPU, deprecated by Burn",
        Backend::Cpu => "CPU, through CubeCL",
        Backend::Wgpu => "GPU: Vulkan, Metal, DX12 or WebGPU",
        Backend::Vulkan => "GPU, on Vulkan",
        Backend::Metal => "GPU, on Metal",
        Backend::WebGpu => "GPU, on WebGPU",
        Backend::Cuda => "NVIDIA GPU",
        Backend::Rocm => "AMD GPU",
        Backend::Remote => "a server of Burn, at BURN_REMOTE_ADDRESS",
        _ => "",
    }
}
