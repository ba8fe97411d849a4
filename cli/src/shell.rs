//! What a shell and `man` want to know of this program.

use std::io::{self, Write};

use clap::Command;
use clap_complete::Shell;

#[derive(clap::Args)]
pub struct Completions {
    /// The shell that is to read the script
    shell: Shell,
}

/// # Errors
/// Standard output can't be written.
pub fn completions(options: &Completions, mut command: Command) -> io::Result<()> {
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(options.shell, &mut command, name, &mut script);
    io::stdout().write_all(&script)
}

/// One page for the program and each of its commands, one after the other.
///
/// # Errors
/// Standard output can't be written.
pub fn manual(command: &Command) -> io::Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    for sub in command.get_subcommands() {
        let name = format!("{}-{}", command.get_name(), sub.get_name());
        let typed = format!("{} {}", command.get_name(), sub.get_name());
        let sub = sub.clone().name(name.clone()).display_name(name);
        clap_mangen::Man::new(sub.bin_name(typed)).render(&mut page)?;
    }
    // In ASCII, which every troff reads.
    let escaped = |c: char| match c.is_ascii() {
        true => c.to_string(),
        false => format!("\\[u{:04X}]", u32::from(c)),
    };
    let page: String = String::from_utf8_lossy(&page)
        .chars()
        .map(escaped)
        .collect();
    io::stdout().write_all(page.as_bytes())
}
