//! A bar on standard error, where that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

pub struct Progress(ProgressBar);

impl Progress {
    pub fn new() -> Self {
        let bar = ProgressBar::no_length();
        // A template of our own can't be wrong: a test runs it.
        if let Ok(style) = ProgressStyle::with_template("{spinner} {bytes} read, {msg}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// How many bytes will come, if that is known.
    pub fn expect(&self, bytes: Option<u64>) {
        if let Some(bytes) = bytes {
            self.0.set_length(bytes);
            let template = "{wide_bar} {percent}% of {total_bytes}, {eta} left, {msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                self.0.set_style(style);
            }
        }
    }

    pub fn read(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    pub fn delivered(&self, sent: u64, waiting: u64) {
        self.0
            .set_message(format!("{sent} sent, {waiting} waiting"));
    }

    /// A line that the bar does not overwrite.
    pub fn say(&self, line: &str) {
        self.0.suspend(|| complain!("{line}"));
    }

    pub fn end(&self) {
        self.0.finish_and_clear();
    }
}

impl Clone for Progress {
    /// The same bar.
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
