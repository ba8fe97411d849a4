//! The calls of `benches/workload.h`: methods of 3–6 bytes, endpoints of about 30, consumers of about 12.

pub struct Call {
    pub method: &'static str,
    pub endpoint: String,
    pub status: u16,
    pub response_time_us: u64,
    pub consumer: String,
}

/// A power of two.
const CALLS: usize = 1024;

pub fn calls() -> Vec<Call> {
    let mut random = 42u32;
    (0..CALLS)
        .map(|i| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            Call {
                method: ["GET", "POST", "PUT", "DELETE", "PATCH"][i % 5],
                endpoint: format!(
                    "/api/v1/{}/{{id}}/items/{}",
                    ["users", "orders", "invoices"][i % 3],
                    random >> 19
                ),
                status: [200, 201, 204, 302, 422, 500][i % 6],
                response_time_us: u64::from(random >> 8),
                consumer: format!("customer-{}", random >> 20),
            }
        })
        .collect()
}
