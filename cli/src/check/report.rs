//! What the steps found, as lines or as JSON.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

/// What is looked at, in this order. The exit code of the first one that failed is the program's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    Settings,
    Spool,
    Sink,
    Proxy,
    Dns,
    Tcp,
    Tls,
    Url,
    Server,
    Clock,
    Key,
    Service,
}

impl Step {
    /// Documented in `EXIT_CODES`; never renumbered.
    fn exit_code(self) -> u8 {
        match self {
            Self::Settings => 3,
            Self::Spool => 4,
            Self::Sink => 5,
            Self::Proxy => 6,
            Self::Dns => 7,
            Self::Tcp => 8,
            Self::Tls => 9,
            Self::Url => 10,
            Self::Server => 11,
            Self::Key => 12,
            Self::Service => 13,
            Self::Clock => 14,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Spool => "spool",
            Self::Sink => "sink",
            Self::Proxy => "proxy",
            Self::Dns => "dns",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Url => "url",
            Self::Server => "server",
            Self::Clock => "clock",
            Self::Key => "key",
            Self::Service => "service",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Grade {
    Ok,
    /// Worth a look, but records are delivered.
    Warn,
    Failed,
    Skipped,
}

#[derive(Serialize)]
struct Finding {
    step: Step,
    result: Grade,
    text: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

/// Lines leave as they come, so that a slow step shows where it hangs; JSON leaves at the end.
pub struct Report {
    json: bool,
    findings: Vec<Finding>,
}

impl Report {
    pub fn new(json: bool) -> Self {
        Self {
            json,
            findings: Vec::new(),
        }
    }

    pub fn ok(&mut self, step: Step, text: impl Into<String>) -> io::Result<()> {
        self.add(step, Grade::Ok, text.into(), None)
    }

    pub fn skipped(&mut self, step: Step, text: impl Into<String>) -> io::Result<()> {
        self.add(step, Grade::Skipped, text.into(), None)
    }

    pub fn warn(
        &mut self,
        step: Step,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) -> io::Result<()> {
        self.add(step, Grade::Warn, text.into(), Some(remedy.into()))
    }

    pub fn failed(
        &mut self,
        step: Step,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) -> io::Result<()> {
        self.add(step, Grade::Failed, text.into(), Some(remedy.into()))
    }

    fn add(
        &mut self,
        step: Step,
        result: Grade,
        text: String,
        remedy: Option<String>,
    ) -> io::Result<()> {
        // Text of a server's is not to reach a terminal as commands.
        let text = text.replace(char::is_control, " ");
        let remedy = remedy.filter(|remedy| !remedy.is_empty());
        let finding = Finding {
            step,
            result,
            text,
            remedy,
        };
        if !self.json {
            print(&finding)?;
        }
        self.findings.push(finding);
        Ok(())
    }

    /// The exit code: 0, or that of the first step that failed.
    pub fn close(self) -> io::Result<u8> {
        let failed = |finding: &&Finding| finding.result == Grade::Failed;
        let first = self.findings.iter().find(failed);
        let code = first.map_or(0, |finding| finding.step.exit_code());
        if self.json {
            let report = serde_json::json!({
                "ok": code == 0,
                "exit_code": code,
                "steps": self.findings,
            });
            writeln!(io::stdout(), "{report}")?;
        }
        Ok(code)
    }
}

/// Colours reach a terminal alone, and none where `NO_COLOR` is set.
fn print(finding: &Finding) -> io::Result<()> {
    let (word, colour) = match finding.result {
        Grade::Ok => ("ok", AnsiColor::Green),
        Grade::Warn => ("warn", AnsiColor::Yellow),
        Grade::Failed => ("FAILED", AnsiColor::Red),
        Grade::Skipped => ("-", AnsiColor::BrightBlack),
    };
    let style = Style::new().fg_color(Some(colour.into())).bold();
    let mut out = anstream::stdout().lock();
    let name = finding.step.name();
    writeln!(
        out,
        "{style}{word:<6}{style:#}  {name:<8}  {}",
        finding.text
    )?;
    if let Some(remedy) = &finding.remedy {
        writeln!(out, "{:18}→ {remedy}", "")?;
    }
    out.flush()
}
