//! The JSON writer beside `serde_json` on the same records; their bytes must be identical.
//!
//! serde_json gets a derived struct whose fields are ready to be written (`&str`, `created_at` already formatted),
//! so it is spared the cleaning and the calendar that our writer does.
//!
//! Prints nanoseconds of a record, a line for each round. `--passes N` only writes the records N times, for callgrind.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use malti::record::RawRecord;
use malti::wire::Writer;
use serde::Serialize;

const RECORDS: usize = 2_000;
const ROUNDS: usize = 51;
/// The same for both, and long beside a time slice: else a busy machine interrupts the slower one oftener.
const WINDOW: Duration = Duration::from_millis(25);

#[derive(Serialize)]
struct Baseline<'a> {
    service: &'a str,
    node: &'a str,
    method: &'a str,
    endpoint: &'a str,
    status: u16,
    response_time: u32,
    consumer: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'a str>,
    created_at: &'a str,
}

struct Call {
    method: &'static str,
    endpoint: String,
    status: u16,
    response_time_ms: u32,
    consumer: String,
    created_at_us: i64,
    created_at: String,
}

/// Methods of 3–6 bytes, endpoints of about 30, consumers of about 12, no two calls alike.
fn calls() -> Vec<Call> {
    let mut random = fastrand::Rng::with_seed(42);
    (0..RECORDS)
        .map(|i| {
            let us = i as i64 * 100_003;
            Call {
                method: ["GET", "POST", "PUT", "DELETE", "PATCH"][i % 5],
                endpoint: format!(
                    "/api/v1/{}/{{id}}/items/{}",
                    ["users", "orders", "invoices"][i % 3],
                    random.u32(..9_999)
                ),
                status: [200, 201, 204, 302, 422, 500][i % 6],
                response_time_ms: 1 << random.u32(..14),
                consumer: format!("customer-{}", random.u32(..9_999)),
                created_at_us: 1_767_322_800_000_000 + us,
                created_at: format!(
                    "2026-01-02T03:{:02}:{:02}.{:06}+00:00",
                    us / 60_000_000,
                    us / 1_000_000 % 60,
                    us % 1_000_000
                ),
            }
        })
        .collect()
}

fn ours(out: &mut Vec<u8>, writer: &mut Writer, records: &[RawRecord<'_>]) {
    out.clear();
    for record in black_box(records) {
        writer.record(out, record);
    }
    black_box(out);
}

fn serde_json(out: &mut Vec<u8>, records: &[Baseline<'_>]) {
    out.clear();
    for record in black_box(records) {
        serde_json::to_writer(&mut *out, record).unwrap();
    }
    black_box(out);
}

fn main() {
    let calls = calls();
    let (service, node) = ("checkout-service", "web-7f9c4d-x2x9p");
    let mut writer = Writer::new(service, node);
    let raw: Vec<RawRecord<'_>> = calls
        .iter()
        .map(|c| RawRecord {
            method: c.method.as_bytes(),
            endpoint: c.endpoint.as_bytes(),
            status: c.status,
            response_time_ms: c.response_time_ms,
            consumer: c.consumer.as_bytes(),
            context: b"",
            created_at_us: c.created_at_us,
        })
        .collect();
    let baseline: Vec<Baseline<'_>> = calls
        .iter()
        .map(|c| Baseline {
            service,
            node,
            method: c.method,
            endpoint: &c.endpoint,
            status: c.status,
            response_time: c.response_time_ms,
            consumer: &c.consumer,
            context: None,
            created_at: &c.created_at,
        })
        .collect();

    let (mut a, mut b) = (Vec::new(), Vec::new());
    ours(&mut a, &mut writer, &raw);
    serde_json(&mut b, &baseline);
    assert_eq!(
        String::from_utf8(a.clone()).unwrap(),
        String::from_utf8(b.clone()).unwrap()
    );

    if let Some(passes) = passes() {
        return (0..passes).for_each(|_| ours(&mut a, &mut writer, &raw));
    }

    // Rounds that alternate, each in the other order: whatever else the machine does meets both alike.
    for round in 0..ROUNDS {
        let mut ours = || time(|| ours(&mut a, &mut writer, &raw));
        let mut serde = || time(|| serde_json(&mut b, &baseline));
        let (ours, serde) = if round % 2 == 0 {
            (ours(), serde())
        } else {
            let serde = serde();
            (ours(), serde)
        };
        println!("ours={ours:.1} serde_json={serde:.1}");
    }
}

fn passes() -> Option<usize> {
    let mut arguments = std::env::args().skip_while(|a| a != "--passes");
    arguments.nth(1).map(|n| n.parse().unwrap())
}

/// Nanoseconds a record takes: as many passes as fill the window.
fn time(mut pass: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut passes = 0;
    while start.elapsed() < WINDOW {
        pass();
        passes += 1;
    }
    start.elapsed().as_nanos() as f64 / (passes * RECORDS) as f64
}
