//! TLS over a connection, with a configuration of our own: ureq can't combine the platform's trust
//! store with further roots.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use ureq::Error;
use ureq::unversioned::transport::time::Instant;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};

use super::trust::Trust;

/// No TLS connection came about.
#[derive(Debug)]
pub(super) struct HandshakeFailed(String);

impl fmt::Display for HandshakeFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TLS: {}", self.0)
    }
}

impl std::error::Error for HandshakeFailed {}

fn failed(reason: impl fmt::Display) -> Error {
    Error::Other(Box::new(HandshakeFailed(reason.to_string())))
}

/// Wraps connections to an `https` address.
#[derive(Debug)]
pub(super) struct Tls {
    pub(super) trust: Arc<Trust>,
}

impl<In: Transport> Connector<In> for Tls {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(inner) = chained else {
            return Ok(None);
        };
        if !details.needs_tls() || inner.is_tls() {
            return Ok(Some(Either::A(inner)));
        }
        let host = details.uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(failed)?;
        let config = self.trust.config().map_err(failed)?;
        let mut conn = ClientConnection::new(config, name).map_err(failed)?;
        let mut sock = TransportAdapter::new(inner.boxed(), Arc::clone(&details.current_time));
        sock.set_timeout(remaining(details));
        conn.complete_io(&mut sock)
            .map_err(|error| match Error::from(error) {
                timeout @ Error::Timeout(_) => timeout,
                Error::Io(error) => failed(error),
                other => failed(other),
            })?;
        let buffers = LazyBuffers::new(
            details.config.input_buffer_size(),
            details.config.output_buffer_size(),
        );
        Ok(Some(Either::B(TlsTransport {
            conn,
            sock,
            buffers,
        })))
    }
}

/// What the TCP connect left of the time to connect.
fn remaining(details: &ConnectionDetails) -> NextTimeout {
    let mut timeout = details.timeout;
    if let (Instant::Exact(now), Instant::Exact(start)) = ((details.current_time)(), details.now)
        && !timeout.after.is_not_happening()
    {
        let left: Duration = timeout
            .after
            .saturating_sub(now.saturating_duration_since(start));
        timeout.after = left.into();
    }
    timeout
}

pub(super) struct TlsTransport {
    conn: ClientConnection,
    sock: TransportAdapter,
    buffers: LazyBuffers,
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.sock.set_timeout(timeout);
        let mut stream = rustls::Stream::new(&mut self.conn, &mut self.sock);
        stream.write_all(&self.buffers.output()[..amount])?;
        // A write keeps an I/O error for the next call; this is the next call.
        stream.flush()?;
        Ok(())
    }

    /// Reads without `rustls::Stream`, which insists on writing what is left first: after a server has
    /// closed early that can't be written, and its answer would be lost.
    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.sock.set_timeout(timeout);
        loop {
            match self.conn.reader().read(self.buffers.input_append_buf()) {
                Ok(amount) => {
                    self.buffers.input_appended(amount);
                    return Ok(amount > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
            if self.conn.wants_write() {
                // An answer to a key update or an alert; whether it leaves shows in the read.
                let _ = self.conn.write_tls(&mut self.sock);
            }
            self.conn.read_tls(&mut self.sock)?;
            self.conn.process_new_packets().map_err(Error::Rustls)?;
        }
    }

    fn is_open(&mut self) -> bool {
        self.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTransport")
            .field("over", &self.sock.inner())
            .finish()
    }
}
