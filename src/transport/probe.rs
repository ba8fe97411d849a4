//! The outermost layer of a connection. It notes what happened to a request, which ureq's errors don't
//! tell: whether it left at all decides whether a repetition can deliver it twice.

use std::cell::Cell;
use std::io::ErrorKind;

use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, NextTimeout, Transport,
};

/// What is known of one try to send a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attempt {
    /// Bytes of the request may have left.
    pub(super) sent: bool,
    /// Bytes of an answer came.
    pub(super) got: bool,
    /// The connection had carried a request before.
    pub(super) reused: bool,
}

thread_local! {
    // ureq runs a request on the calling thread and hands nothing of ours down to the connection.
    static ATTEMPT: Cell<Attempt> = const { Cell::new(Attempt { sent: false, got: false, reused: false }) };
}

/// Runs one request and tells what the probe saw of it.
pub(super) fn watch<T>(request: impl FnOnce() -> T) -> (T, Attempt) {
    ATTEMPT.set(Attempt::default());
    let result = request();
    (result, ATTEMPT.get())
}

fn note(change: impl FnOnce(&mut Attempt)) {
    let mut attempt = ATTEMPT.get();
    change(&mut attempt);
    ATTEMPT.set(attempt);
}

/// Puts a probe around connections to the server. The leg to a proxy, which ureq opens by running the
/// chain without the proxy setting, carries no request of ours and stays bare.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) proxied: bool,
}

impl<In: Transport> Connector<In> for Probe {
    type Out = Either<In, Probed<In>>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let bare = self.proxied && details.config.proxy().is_none();
        Ok(chained.map(|inner| {
            if bare {
                Either::A(inner)
            } else {
                Either::B(Probed {
                    inner,
                    used: false,
                    cut: false,
                })
            }
        }))
    }
}

#[derive(Debug)]
pub(super) struct Probed<In> {
    inner: In,
    /// An answer came over it.
    used: bool,
    /// The server stopped reading.
    cut: bool,
}

impl<In: Transport> Transport for Probed<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    /// A server may answer (413, 401) and close while we still write. The broken pipe is then no
    /// reason to stop: the rest of the body goes nowhere, and the answer gets read.
    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        if self.cut {
            return Ok(());
        }
        note(|attempt| {
            attempt.sent = true;
            attempt.reused = self.used;
        });
        match self.inner.transmit_output(amount, timeout) {
            Err(Error::Io(error)) if is_cut(error.kind()) => {
                self.cut = true;
                Ok(())
            }
            other => other,
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let progress = self.inner.await_input(timeout)?;
        if progress {
            self.used = true;
            note(|attempt| attempt.got = true);
        }
        Ok(progress)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

/// The other side ended the connection.
pub(super) fn is_cut(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::BrokenPipe
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::UnexpectedEof
    )
}
