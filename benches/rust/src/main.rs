//! What a record costs a Rust host: the library beside what else could keep it (`subjects.rs`).
//!
//! - `cpu`: thread CPU time of a call
//! - `threads`: the same while 1, 2, 4 and 8 threads record
//! - `latency`: percentiles of one call by the clock
//! - `memory NAME`: heap of a record that waits
//! - `count NAME N`: N calls, for callgrind
//!
//! Lines of name=value, one for each round, in nanoseconds or bytes. What is compared takes turns, each round in the
//! other order. It fails if a call was not kept.

mod subjects;
mod workload;

use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

use subjects::{NAMES, Subject, subject};
use workload::{Call, calls};

const ROUNDS: usize = 15;
/// Of a round; as many calls as the library's buffer holds at least, so that none is dropped.
const SEGMENTS: usize = 10;
const SEGMENT: usize = 20_000;
const THREADS: [usize; 4] = [1, 2, 4, 8];
/// Of a round by threads.
const SHORT: usize = 3;

/// One subject, and how many calls it was given.
struct Turn {
    name: &'static str,
    subject: Box<dyn Subject>,
    given: usize,
}

impl Turn {
    fn all() -> Vec<Turn> {
        let turn = |name| Turn {
            name,
            subject: subject(name, false),
            given: 0,
        };
        NAMES.map(turn).into()
    }

    /// All calls of `given` more are to be kept by now.
    fn settle(&mut self, given: usize) {
        self.given += given;
        assert_eq!(self.subject.settle(), self.given, "kept by {}", self.name);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let calls = calls();
    match arguments[..] {
        ["cpu"] => cpu(&calls),
        ["threads"] => threads(&calls),
        ["latency"] => latency(&calls),
        ["memory", name] => memory(&calls, name),
        ["count", name, count] => {
            let subject = subject(name, false);
            record(&*subject, &calls, count.parse().unwrap());
            subject.settle();
        }
        _ => panic!("usage: cpu|threads|latency|memory NAME|count NAME N"),
    }
}

fn record(subject: &dyn Subject, calls: &[Call], count: usize) {
    for i in 0..count {
        subject.record(black_box(&calls[i % calls.len()]));
    }
}

/// CPU time of this thread in `count` calls, in ns.
fn segment(subject: &dyn Subject, calls: &[Call], count: usize) -> f64 {
    let start = thread_cpu_ns();
    record(subject, calls, count);
    thread_cpu_ns() - start
}

fn cpu(calls: &[Call]) {
    let mut turns = Turn::all();
    for round in 0..=ROUNDS {
        let mut spent = vec![0.0; turns.len()];
        for i in 0..SEGMENTS {
            in_turn(&mut turns, i, |at, turn| {
                spent[at] += segment(&*turn.subject, calls, SEGMENT);
                turn.settle(SEGMENT);
            });
        }
        // The first one starts threads and fills caches.
        if round > 0 {
            let each = |&sum: &f64| sum / (SEGMENTS * SEGMENT) as f64;
            line(&turns, spent.iter().map(each), "");
        }
    }
}

fn threads(calls: &[Call]) {
    let mut turns = Turn::all();
    for round in 0..=ROUNDS {
        for threads in THREADS {
            let mut spent = vec![0.0; turns.len()];
            for i in 0..SHORT {
                in_turn(&mut turns, i, |at, turn| {
                    spent[at] += at_once(&*turn.subject, calls, threads);
                    turn.settle(SEGMENT + threads);
                });
            }
            if round > 0 {
                let each = |&sum: &f64| sum / (SHORT * SEGMENT) as f64;
                line(&turns, spent.iter().map(each), &format!("_{threads}"));
            }
        }
    }
}

/// CPU time of so many threads that share a segment's calls.
fn at_once(subject: &dyn Subject, calls: &[Call], threads: usize) -> f64 {
    let ready = Barrier::new(threads);
    std::thread::scope(|scope| {
        let work = || {
            // A thread's first call prepares others.
            record(subject, calls, 1);
            ready.wait();
            segment(subject, calls, SEGMENT / threads)
        };
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

fn latency(calls: &[Call]) {
    let mut turns = Turn::all();
    let mut times = vec![0.0; SEGMENT * SHORT];
    for round in 0..=ROUNDS {
        // Without what the clock itself takes.
        times.iter_mut().for_each(|time| *time = timed(|| ()));
        let clock = percentiles(&mut times)[0];
        in_turn(&mut turns, round, |_, turn| {
            for part in times.chunks_mut(SEGMENT) {
                for (i, time) in part.iter_mut().enumerate() {
                    let call = black_box(&calls[i % calls.len()]);
                    *time = timed(|| turn.subject.record(call));
                }
                turn.settle(SEGMENT);
            }
            if round > 0 {
                let [p50, p99, p999] = percentiles(&mut times).map(|time| time - clock);
                let name = turn.name;
                println!("{name}_p50={p50:.0} {name}_p99={p99:.0} {name}_p999={p999:.0}");
            }
        });
    }
}

fn timed(call: impl FnOnce()) -> f64 {
    let start = Instant::now();
    call();
    start.elapsed().as_nanos() as f64
}

fn percentiles(times: &mut [f64]) -> [f64; 3] {
    times.sort_by(f64::total_cmp);
    [500, 990, 999].map(|permille| times[times.len() / 1000 * permille])
}

fn memory(calls: &[Call], name: &str) {
    let subject = subject(name, true);
    // Whatever grows by doubling has done so.
    record(&*subject, calls, calls.len());
    let before = heap();
    record(&*subject, calls, SEGMENT - calls.len());
    let grown = heap() - before;
    println!("bytes={:.1}", grown as f64 / (SEGMENT - calls.len()) as f64);
    // Nobody takes them.
    std::process::exit(0);
}

fn in_turn(turns: &mut [Turn], round: usize, mut each: impl FnMut(usize, &mut Turn)) {
    let count = turns.len();
    for i in 0..count {
        let at = if round.is_multiple_of(2) {
            i
        } else {
            count - 1 - i
        };
        each(at, &mut turns[at]);
    }
}

fn line(turns: &[Turn], figures: impl Iterator<Item = f64>, suffix: &str) {
    let pairs = turns.iter().zip(figures);
    let texts: Vec<String> = pairs
        .map(|(turn, figure)| format!("{}{suffix}={figure:.1}", turn.name))
        .collect();
    println!("{}", texts.join(" "));
}

fn thread_cpu_ns() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: it writes to what it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Bytes that the process has of its allocator.
fn heap() -> usize {
    // SAFETY: it takes nothing.
    let info = unsafe { libc::mallinfo2() };
    info.uordblks + info.hblkhd
}
