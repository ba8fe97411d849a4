//! What is measured: each keeps the same facts of a call, in the way that its users would have it keep them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use malti::{Client, Config, Record, Recorded};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span, SpanKind, Tracer, TracerProvider};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider, SpanData, SpanExporter,
};
use prometheus::{HistogramOpts, HistogramVec, Registry};

use crate::workload::Call;

pub trait Subject: Sync {
    /// Keeps one call.
    fn record(&self, call: &Call);
    /// Gets rid of what is kept, off the clock; gives how many calls that were since the start.
    fn settle(&self) -> usize;
}

pub const NAMES: [&str; 5] = [
    "libmalti",
    "reference",
    "vecdeque",
    "opentelemetry",
    "prometheus",
];

/// `waiting`: what is recorded stays in memory until it is settled, for its size to be seen.
pub fn subject(name: &str, waiting: bool) -> Box<dyn Subject> {
    match name {
        "libmalti" => Box::new(Malti::new()),
        "reference" => Box::new(Reference::default()),
        "vecdeque" => Box::new(Queue::default()),
        "opentelemetry" => Box::new(Spans::new(waiting)),
        "prometheus" => Box::new(Histogram::new()),
        _ => panic!("no subject {name}"),
    }
}

/// The library, by its environment.
struct Malti(Client);

impl Malti {
    fn new() -> Malti {
        Malti(Client::start(Config::from_env()).unwrap())
    }
}

impl Subject for Malti {
    #[inline(never)]
    fn record(&self, call: &Call) {
        let kept = self.0.record(&Record {
            method: call.method,
            endpoint: &call.endpoint,
            status: call.status,
            response_time: Duration::from_micros(call.response_time_us),
            consumer: Some(&call.consumer),
            context: None,
            created_at: None,
        });
        assert_eq!(kept, Recorded::Kept);
    }

    fn settle(&self) -> usize {
        self.0.flush(Duration::from_secs(60)).unwrap();
        self.0.stats().sent as usize
    }
}

/// F of `benches/record.c`, the least that keeping a record takes: the clock, and a copy under an uncontended lock.
#[derive(Default)]
struct Reference(Mutex<Ring>);

#[derive(Default)]
struct Ring {
    bytes: Vec<u8>,
    kept: usize,
}

impl Subject for Reference {
    #[inline(never)]
    fn record(&self, call: &Call) {
        let us = now_us();
        let mut ring = self.0.lock().unwrap();
        ring.bytes.extend_from_slice(&us.to_ne_bytes());
        ring.bytes.extend_from_slice(call.method.as_bytes());
        ring.bytes.extend_from_slice(call.endpoint.as_bytes());
        ring.bytes.extend_from_slice(call.consumer.as_bytes());
        ring.kept += 1;
    }

    fn settle(&self) -> usize {
        let mut ring = self.0.lock().unwrap();
        ring.bytes.clear();
        ring.kept
    }
}

/// A queue of owned records behind a lock.
#[derive(Default)]
struct Queue(Mutex<(VecDeque<Owned>, usize)>);

struct Owned {
    _method: String,
    _endpoint: String,
    _status: u16,
    _response_time_ms: u32,
    _consumer: String,
    _created_at_us: i64,
}

impl Subject for Queue {
    #[inline(never)]
    fn record(&self, call: &Call) {
        let owned = Owned {
            _method: call.method.to_owned(),
            _endpoint: call.endpoint.clone(),
            _status: call.status,
            _response_time_ms: (call.response_time_us / 1000) as u32,
            _consumer: call.consumer.clone(),
            _created_at_us: now_us(),
        };
        let (queue, kept) = &mut *self.0.lock().unwrap();
        queue.push_back(owned);
        *kept += 1;
    }

    fn settle(&self) -> usize {
        let (queue, kept) = &mut *self.0.lock().unwrap();
        queue.clear();
        *kept
    }
}

/// OpenTelemetry's span with the name and the attributes that its conventions ask of a server's span, in batches to an
/// exporter that counts and drops them.
struct Spans {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    exported: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Counting(Arc<AtomicUsize>);

impl SpanExporter for Counting {
    async fn export(&self, spans: Vec<SpanData>) -> OTelSdkResult {
        self.0.fetch_add(spans.len(), Ordering::Relaxed);
        Ok(())
    }
}

impl Spans {
    fn new(waiting: bool) -> Spans {
        let exported = Arc::new(AtomicUsize::new(0));
        // Its own 2,048 would lose most of a segment.
        let mut limits = BatchConfigBuilder::default().with_max_queue_size(1 << 16);
        if waiting {
            limits = limits
                .with_max_export_batch_size(1 << 16)
                .with_scheduled_delay(Duration::from_secs(3600));
        }
        let processor = BatchSpanProcessor::builder(Counting(exported.clone()))
            .with_batch_config(limits.build())
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .build();
        let tracer = provider.tracer("bench");
        Spans {
            provider,
            tracer,
            exported,
        }
    }
}

impl Subject for Spans {
    #[inline(never)]
    fn record(&self, call: &Call) {
        self.tracer
            .span_builder(format!("{} {}", call.method, call.endpoint))
            .with_kind(SpanKind::Server)
            .with_attributes([
                KeyValue::new("http.request.method", call.method),
                KeyValue::new("url.scheme", "http"),
                KeyValue::new("url.path", call.endpoint.clone()),
                KeyValue::new("http.route", call.endpoint.clone()),
                KeyValue::new("http.response.status_code", i64::from(call.status)),
                KeyValue::new("user.id", call.consumer.clone()),
            ])
            .start(&self.tracer)
            .end();
    }

    fn settle(&self) -> usize {
        self.provider.force_flush().unwrap();
        self.exported.load(Ordering::Relaxed)
    }
}

/// A histogram by method, endpoint and status, as middlewares for Prometheus keep it; it knows no consumers.
struct Histogram(HistogramVec);

const LABELS: [&str; 3] = ["method", "endpoint", "status"];

impl Histogram {
    fn new() -> Histogram {
        let named = HistogramOpts::new("http_request_duration_seconds", "Bench");
        let histogram = HistogramVec::new(named, &LABELS).unwrap();
        Registry::new()
            .register(Box::new(histogram.clone()))
            .unwrap();
        Histogram(histogram)
    }
}

impl Subject for Histogram {
    #[inline(never)]
    fn record(&self, call: &Call) {
        // As short as a label of it can be had.
        let status = ["1xx", "2xx", "3xx", "4xx", "5xx"][usize::from(call.status) / 100 - 1];
        self.0
            .with_label_values(&[call.method, &call.endpoint, status])
            .observe(call.response_time_us as f64 * 1e-6);
    }

    fn settle(&self) -> usize {
        use prometheus::core::Collector;
        let families = self.0.collect();
        let counts = families
            .iter()
            .flat_map(|family| family.get_metric())
            .map(|one| one.get_histogram().get_sample_count() as usize);
        counts.sum()
    }
}

fn now_us() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_micros() as i64
}
