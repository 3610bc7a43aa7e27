//! What is measured.

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// One connection, on which the server sends as fast as the client reads.
    Receive,
    /// One connection, on which the client sends as fast as the server reads.
    Send,
    /// Many connections, one message in flight on each.
    Echo,
    /// [`Echo`](Self::Echo) over TLS.
    EchoTls,
    /// Connections that are opened and dropped.
    Connect,
    /// [`Connect`](Self::Connect) over TLS.
    ConnectTls,
    /// Many connections on which nothing happens.
    Idle,
    /// [`Receive`](Self::Receive) over TLS.
    ReceiveTls,
    /// [`Idle`](Self::Idle) over TLS.
    IdleTls,
    /// [`Receive`](Self::Receive), compressed.
    ReceiveDeflate,
    /// One connection, on which the client sends compressed messages as fast as it can.
    SendDeflate,
    /// [`Idle`](Self::Idle), after a compressed message each way.
    IdleDeflate,
}

impl Workload {
    /// Every workload, in the order in which they are run.
    pub const ALL: [Self; 12] = [
        Self::Receive,
        Self::Send,
        Self::Echo,
        Self::Connect,
        Self::Idle,
        Self::ReceiveTls,
        Self::EchoTls,
        Self::ConnectTls,
        Self::IdleTls,
        Self::ReceiveDeflate,
        Self::SendDeflate,
        Self::IdleDeflate,
    ];
    /// Those without TLS and compression.
    pub const PLAIN: [Self; 5] = [Self::Receive, Self::Send, Self::Echo, Self::Connect, Self::Idle];
    /// Those without compression.
    pub const UNCOMPRESSED: [Self; 9] = [
        Self::Receive,
        Self::Send,
        Self::Echo,
        Self::Connect,
        Self::Idle,
        Self::ReceiveTls,
        Self::EchoTls,
        Self::ConnectTls,
        Self::IdleTls,
    ];
    /// Those with compression.
    pub const DEFLATE: [Self; 3] = [Self::ReceiveDeflate, Self::SendDeflate, Self::IdleDeflate];

    /// The name on the command line and in the results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Send => "send",
            Self::Echo => "echo",
            Self::EchoTls => "echo-tls",
            Self::Connect => "connect",
            Self::ConnectTls => "connect-tls",
            Self::Idle => "idle",
            Self::ReceiveTls => "receive-tls",
            Self::IdleTls => "idle-tls",
            Self::ReceiveDeflate => "receive-deflate",
            Self::SendDeflate => "send-deflate",
            Self::IdleDeflate => "idle-deflate",
        }
    }

    /// The workload of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|workload| workload.name() == name)
    }

    /// The names of all.
    pub fn names() -> Vec<&'static str> {
        Self::ALL.map(Self::name).to_vec()
    }

    /// Whether the load server speaks TLS.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::ReceiveTls | Self::EchoTls | Self::ConnectTls | Self::IdleTls)
    }

    /// Whether round trips are measured, with their latency.
    pub fn is_echo(self) -> bool {
        matches!(self, Self::Echo | Self::EchoTls)
    }

    /// Whether it is the opening of connections that is measured.
    pub fn is_connect(self) -> bool {
        matches!(self, Self::Connect | Self::ConnectTls)
    }

    /// Whether it is resident memory that is measured, rather than processor time.
    pub fn is_idle(self) -> bool {
        matches!(self, Self::Idle | Self::IdleTls | Self::IdleDeflate)
    }

    /// Whether permessage-deflate is agreed on.
    pub fn is_deflate(self) -> bool {
        matches!(self, Self::ReceiveDeflate | Self::SendDeflate | Self::IdleDeflate)
    }
}

/// How the load server cuts a feed into TLS records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Records {
    /// As full as they can be: 16 KiB.
    #[default]
    Packed,
    /// One for each frame, as servers do that write message by message.
    Frame,
}

impl Records {
    /// The name on the command line and in the request target.
    pub fn name(self) -> &'static str {
        match self {
            Self::Packed => "packed",
            Self::Frame => "frame",
        }
    }

    /// The one of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        [Self::Packed, Self::Frame].into_iter().find(|records| records.name() == name)
    }
}

/// Whether later messages may refer to earlier ones, in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Takeover {
    /// Contexts are taken over.
    #[default]
    Yes,
    /// Each message begins anew.
    No,
}

impl Takeover {
    /// The name on the command line and in the request target.
    pub fn name(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
        }
    }

    /// The one of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        [Self::Yes, Self::No].into_iter().find(|takeover| takeover.name() == name)
    }

    /// What a client offers, and the load server answers: 15 bits both ways.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Yes => "permessage-deflate",
            Self::No => "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        }
    }
}

/// How the messages of a run are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// Whether contexts are taken over.
    pub takeover: Takeover,
    /// The level that the client compresses at.
    pub level: u8,
}

impl Compression {
    /// Contexts are taken over; the fastest level.
    pub const DEFAULT: Self = Self { takeover: Takeover::Yes, level: 1 };
}
