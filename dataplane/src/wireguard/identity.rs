use std::{fmt, sync::Arc};

use boringtun::{
    noise::rate_limiter::RateLimiter,
    x25519::{PublicKey, StaticSecret},
};

/// A key pair of an interface, and how many handshakes it takes.
pub struct Identity {
    pub(super) private: StaticSecret,
    pub(super) public: PublicKey,
    pub(super) limiter: Arc<RateLimiter>,
    pub(super) parity: Parity,
}

/// Which of the two key pairs that an interface may have at a time. A bit of the indexes of sessions says it, so that it is known of each
/// message which one it is under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parity {
    /// The first, and each second one after it.
    #[default]
    Even,
    /// The others.
    Odd,
}

impl Parity {
    /// Both.
    pub(super) const BOTH: [Self; 2] = [Self::Even, Self::Odd];

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Even => Self::Odd,
            Self::Odd => Self::Even,
        }
    }

    /// Its part of two.
    #[inline]
    pub(super) const fn of<T>(self, [even, odd]: &[T; 2]) -> &T {
        match self {
            Self::Even => even,
            Self::Odd => odd,
        }
    }

    /// The same, to change it.
    #[inline]
    pub(super) const fn of_mut<T>(self, [even, odd]: &mut [T; 2]) -> &mut T {
        match self {
            Self::Even => even,
            Self::Odd => odd,
        }
    }
}

impl Identity {
    /// Handshakes in a second beyond which a sender has to show that it receives what is sent to its address. Each counts twice: when it
    /// arrives and when its peer takes it.
    const UNHINDERED: u64 = 2 * 128;

    /// The identity of a private key.
    pub fn new(private: [u8; 32]) -> Self {
        Self::with_parity(private, Parity::default())
    }

    /// The identity of a private key, for an interface that is `other` besides.
    pub fn beside(private: [u8; 32], other: &Self) -> Self {
        Self::with_parity(private, other.parity.other())
    }

    fn with_parity(private: [u8; 32], parity: Parity) -> Self {
        let private = StaticSecret::from(private);
        let public = PublicKey::from(&private);
        let limiter = Arc::new(RateLimiter::new(&public, Self::UNHINDERED));
        Self { private, public, limiter, parity }
    }

    /// The public key.
    pub fn public_key(&self) -> [u8; 32] {
        self.public.to_bytes()
    }

    /// Which of two it is.
    pub const fn parity(&self) -> Parity {
        self.parity
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}
