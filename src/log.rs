//! Log lines: to standard error, to a callback, or into a ring that the host pulls from.
//!
//! A logger is shared by the host's threads and the sender. No lock is held while a callback runs or a
//! line is written, and a line is written by one call, so that a forked child never waits for a lock that
//! nobody in it holds.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The lines that wait for a host that pulls them; then the oldest go.
const RING_LINES: usize = 64;
/// The bytes of a line's text. With what stands before it, a line stays under the 4,096 bytes that
/// Linux writes to a pipe without another process's line in between.
const TEXT_MAX: usize = 4_000;

/// How grave a line is, and how much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing is logged; no line has this level.
    Off = 0,
    /// Something is lost or does not work.
    Error = 1,
    /// Something should be mended.
    Warn = 2,
    /// A change worth knowing.
    Info = 3,
    /// For finding faults in libmalti.
    Debug = 4,
}

impl Level {
    const ALL: [Self; 5] = [Self::Off, Self::Error, Self::Warn, Self::Info, Self::Debug];

    /// Its name, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Level {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = |level: &Self| level.name().eq_ignore_ascii_case(text);
        Self::ALL.into_iter().find(named).ok_or("not a level")
    }
}

/// What a host does with a line. It may be called by any thread, by several at the same time.
pub type Callback = Arc<dyn Fn(Level, &str) + Send + Sync>;

/// Where lines go.
#[derive(Clone)]
pub enum Sink {
    /// `malti: <level>: <text>` to standard error.
    Stderr,
    /// To the host, on the thread that logs.
    Callback(Callback),
    /// Into a ring of 64 lines, for [`Logger::next`].
    Pull,
}

/// Somewhere in the process lines wait to be pulled.
static WAITS: AtomicBool = AtomicBool::new(false);

/// Tells a host, once and for the price of a load, that there is something to pull.
#[inline]
pub(crate) fn waits_for_pull() -> bool {
    WAITS.load(Ordering::Relaxed) && WAITS.swap(false, Ordering::AcqRel)
}

/// Who was told has left some of it.
#[cold]
pub(crate) fn still_waits() {
    WAITS.store(true, Ordering::Release);
}

/// Takes log lines from any thread.
pub struct Logger {
    level: Level,
    sink: Sink,
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    lines: VecDeque<(Level, String)>,
    lost: u64,
}

impl Logger {
    /// A logger of lines that are at least as grave as `level`.
    pub fn new(level: Level, sink: Sink) -> Self {
        Self {
            level,
            sink,
            ring: Mutex::default(),
        }
    }

    /// Whether a line of this level would go anywhere.
    pub fn takes(&self, level: Level) -> bool {
        level != Level::Off && level <= self.level
    }

    /// Logs one line; `format_args!(…)` costs nothing where the level is not taken. Control characters
    /// are escaped, so that one call is always one line, and a long text is cut.
    pub fn log(&self, level: Level, text: impl fmt::Display) {
        // A callback that causes a line must not be called for it again, without end.
        if matches!(self.sink, Sink::Callback(_)) && in_callback() {
            if self.takes(level) {
                write_line(level, &Line::of(text));
            }
            return;
        }
        self.log_later(level, text);
        self.say_deferred();
    }

    /// The same without I/O and without a callback, for threads that may do neither: the line waits in the ring for
    /// [`say_deferred`](Self::say_deferred).
    pub fn log_later(&self, level: Level, text: impl fmt::Display) {
        if self.takes(level) {
            self.ring().push(level, Line::of(text));
            if matches!(self.sink, Sink::Pull) {
                WAITS.store(true, Ordering::Release);
            }
        }
    }

    /// Whether [`say_deferred`](Self::say_deferred) has something to say.
    pub fn has_deferred(&self) -> bool {
        !matches!(self.sink, Sink::Pull) && !self.ring().lines.is_empty()
    }

    /// Says the lines that wait. Where the host pulls them they go on waiting.
    pub fn say_deferred(&self) {
        if !matches!(self.sink, Sink::Pull) {
            self.drain();
        }
    }

    /// The oldest line that waits in the ring. Where lines were lost before it, a line says how many.
    pub fn next(&self) -> Option<(Level, String)> {
        self.ring().pop()
    }

    /// Says all that waits, also what nobody pulled: that goes to standard error.
    pub fn drain(&self) {
        // Whoever called the callback goes on with the next line when it returns.
        if in_callback() {
            return;
        }
        while let Some((level, line)) = self.next() {
            match &self.sink {
                Sink::Callback(callback) => call(callback, level, &line),
                _ => write_line(level, &line),
            }
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Logger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logger")
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

impl Ring {
    fn push(&mut self, level: Level, line: String) {
        if self.lines.len() == RING_LINES {
            self.lines.pop_front();
            self.lost += 1;
        }
        self.lines.push_back((level, line));
    }

    fn pop(&mut self) -> Option<(Level, String)> {
        match std::mem::take(&mut self.lost) {
            0 => self.lines.pop_front(),
            lost => Some((
                Level::Warn,
                format!("{lost} older log lines were not pulled and are lost"),
            )),
        }
    }
}

thread_local! {
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a log callback, where waiting for the sender could wait for ever.
pub fn in_callback() -> bool {
    IN_CALLBACK.get()
}

fn call(callback: &Callback, level: Level, line: &str) {
    IN_CALLBACK.set(true);
    // A host's panic must neither end the sender nor reach the caller of another function.
    let outcome = catch_unwind(AssertUnwindSafe(|| callback(level, line)));
    IN_CALLBACK.set(false);
    if outcome.is_err() {
        write_line(Level::Error, "the log callback panicked");
    }
}

fn write_line(level: Level, line: &str) {
    crate::sys::write_stderr(stderr_line(level, line).as_bytes());
}

fn stderr_line(level: Level, line: &str) -> String {
    format!("malti: {level}: {line}\n")
}

/// A text made fit for one line while it is formatted, so that a huge one is never held whole.
struct Line(String);

impl Line {
    fn of(text: impl fmt::Display) -> String {
        let mut line = Self(String::new());
        if write!(line, "{text}").is_err() {
            line.0.push('…');
        }
        line.0
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| self.write_char(c))
    }

    /// An error ends the formatting: the line is full.
    fn write_char(&mut self, c: char) -> fmt::Result {
        if self.0.len() >= TEXT_MAX {
            return Err(fmt::Error);
        }
        if c.is_control() {
            self.0.extend(c.escape_default());
        } else {
            self.0.push(c);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pull(level: Level) -> Logger {
        Logger::new(level, Sink::Pull)
    }

    fn texts(logger: &Logger) -> Vec<String> {
        std::iter::from_fn(|| logger.next())
            .map(|(_, text)| text)
            .collect()
    }

    type Kept = Arc<Mutex<Vec<(Level, String)>>>;

    /// A logger whose callback keeps what it gets.
    fn keeping(then: impl Fn() + Send + Sync + 'static) -> (Logger, Kept) {
        let kept = Kept::default();
        let lines = kept.clone();
        let callback = move |level, line: &str| {
            lines.lock().unwrap().push((level, line.to_owned()));
            then();
        };
        (
            Logger::new(Level::Debug, Sink::Callback(Arc::new(callback))),
            kept,
        )
    }

    #[test]
    fn levels_have_names_in_any_case() {
        for level in Level::ALL {
            assert_eq!(level.to_string().to_uppercase().parse(), Ok(level));
        }
        assert_eq!("loud".parse::<Level>(), Err("not a level"));
    }

    #[test]
    fn only_lines_grave_enough_are_taken() {
        let logger = pull(Level::Warn);
        for level in Level::ALL {
            logger.log(level, level);
        }
        assert_eq!(texts(&logger), ["error", "warn"]);
        let off = pull(Level::Off);
        off.log(Level::Error, "lost");
        off.log(Level::Off, "no line's level");
        assert_eq!(off.next(), None);
    }

    #[test]
    fn a_line_that_is_not_taken_is_not_formatted() {
        struct Never;
        impl fmt::Display for Never {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                panic!("formatted")
            }
        }
        pull(Level::Warn).log(Level::Info, Never);
    }

    #[test]
    fn one_call_is_one_line() {
        let logger = pull(Level::Info);
        logger.log(
            Level::Info,
            format_args!("{} → {}", "a\r\nmalti: error: b", "\u{1b}[31m\0é"),
        );
        assert_eq!(texts(&logger), [r"a\r\nmalti: error: b → \u{1b}[31m\u{0}é"]);
        assert_eq!(stderr_line(Level::Warn, "text"), "malti: warn: text\n");
    }

    #[test]
    fn a_long_line_is_cut() {
        let logger = pull(Level::Info);
        logger.log(Level::Info, "é\n".repeat(1_000_000));
        logger.log(Level::Info, "x".repeat(TEXT_MAX));
        let lines = texts(&logger);
        assert!(lines[0].ends_with('…'));
        assert!(stderr_line(Level::Error, &lines[0]).len() <= 4_096);
        assert_eq!(lines[1], "x".repeat(TEXT_MAX));
    }

    #[test]
    fn the_ring_keeps_the_last_lines_and_counts_the_lost() {
        let logger = pull(Level::Info);
        for i in 0..RING_LINES + 3 {
            logger.log(Level::Info, i);
        }
        assert_eq!(
            logger.next(),
            Some((
                Level::Warn,
                "3 older log lines were not pulled and are lost".into()
            ))
        );
        let kept: Vec<_> = (3..RING_LINES + 3).map(|i| i.to_string()).collect();
        assert_eq!(texts(&logger), kept);
        logger.log(Level::Error, "after");
        assert_eq!(logger.next(), Some((Level::Error, "after".into())));
    }

    #[test]
    fn draining_empties_the_ring() {
        let logger = pull(Level::Debug);
        logger.log(Level::Debug, "a line that a test leaves unpulled");
        logger.drain();
        assert_eq!(logger.next(), None);
    }

    #[test]
    fn a_callback_gets_lines_and_knows_that_it_runs() {
        let inside = Arc::new(Mutex::new(Vec::new()));
        let seen = inside.clone();
        let (logger, kept) = keeping(move || seen.lock().unwrap().push(in_callback()));
        logger.log(Level::Info, format_args!("{}", 1));
        assert_eq!(*kept.lock().unwrap(), [(Level::Info, "1".to_owned())]);
        assert_eq!(*inside.lock().unwrap(), [true]);
        assert!(!in_callback());
        assert_eq!(logger.next(), None);
    }

    #[test]
    fn a_deferred_line_is_said_by_whoever_comes_next_and_before_what_is_younger() {
        let (logger, kept) = keeping(|| ());
        logger.log_later(Level::Warn, "first");
        assert!(logger.has_deferred() && kept.lock().unwrap().is_empty());
        logger.log(Level::Info, "second");
        assert!(!logger.has_deferred());
        let said: Vec<_> = kept
            .lock()
            .unwrap()
            .iter()
            .map(|(_, text)| text.clone())
            .collect();
        assert_eq!(said, ["first", "second"]);

        let logger = pull(Level::Warn);
        logger.log_later(Level::Warn, "for the host");
        logger.log_later(Level::Info, "not taken");
        logger.say_deferred();
        assert!(!logger.has_deferred());
        assert_eq!(texts(&logger), ["for the host"]);
    }

    #[test]
    fn a_panic_in_the_callback_stays_there() {
        let (logger, kept) = keeping(|| panic!("on purpose"));
        logger.log(Level::Info, "one");
        logger.log(Level::Info, "two");
        assert_eq!(kept.lock().unwrap_or_else(PoisonError::into_inner).len(), 2);
        assert!(!in_callback());
    }

    #[test]
    fn a_callback_that_logs_is_not_called_again_for_it() {
        let logger = Arc::new(std::sync::OnceLock::<Logger>::new());
        // Weak, since the logger will own this callback.
        let inner = Arc::downgrade(&logger);
        let (outer, kept) = keeping(move || {
            if let Some(logger) = inner.upgrade().as_ref().and_then(|inner| inner.get()) {
                logger.log(Level::Info, "a line from inside a test's callback");
            }
        });
        logger.get_or_init(|| outer).log(Level::Info, "outer");
        assert_eq!(*kept.lock().unwrap(), [(Level::Info, "outer".to_owned())]);
    }

    #[test]
    fn threads_share_a_logger() {
        let logger = pull(Level::Info);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let logger = &logger;
                scope.spawn(move || (0..10).for_each(|i| logger.log(Level::Info, thread * 10 + i)));
            }
        });
        let mut numbers: Vec<i32> = texts(&logger)
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..40).collect::<Vec<_>>());
    }
}
