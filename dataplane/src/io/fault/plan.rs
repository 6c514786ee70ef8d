use std::{fmt, str::FromStr};

/// How often something happens: a probability from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Rate(f64);

impl Rate {
    /// Never.
    pub const NEVER: Self = Self(0.0);

    /// A rate of `probability`, if that is between 0 and 1.
    pub fn new(probability: f64) -> Option<Self> {
        (0.0..=1.0).contains(&probability).then_some(Self(probability))
    }

    /// The probability.
    pub const fn probability(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! plan {
    ($($field:ident $help:literal,)+) => {
        /// Which faults are injected and how often. Written as `drop=0.01,corrupt=0.001,seed=7`; what is not named never
        /// happens.
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        pub struct FaultPlan {
            /// Where the random numbers start: the same plan over the same packets injects the same faults.
            pub seed: u64,
            $(#[doc = $help] pub $field: Rate,)+
        }

        impl FaultPlan {
            /// What can be configured besides `seed`, with one sentence for an operator.
            pub const FAULTS: &[(&str, &str)] = &[$((stringify!($field), $help),)+];

            fn rate_mut(&mut self, name: &str) -> Option<&mut Rate> {
                match name {
                    $(stringify!($field) => Some(&mut self.$field),)+
                    _ => None,
                }
            }
        }

        impl fmt::Display for FaultPlan {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(if self.$field > Rate::NEVER {
                    write!(f, concat!(stringify!($field), "={},"), self.$field)?;
                })+
                write!(f, "seed={}", self.seed)
            }
        }
    };
}

plan! {
    drop "A received packet is dropped, as `fault_injected`.",
    corrupt "One byte of a received packet is changed.",
    reorder "A received packet changes places with the next one of its batch.",
    stall "A turn receives nothing, though there may be packets.",
    full "A packet cannot be transmitted because the ring is full.",
    down "A packet cannot be transmitted because the interface is down.",
}

/// What is wrong with a [`FaultPlan`] that was given as text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultPlanError {
    /// A part is not of the form `fault=rate`.
    #[error("`{0}` is not of the form fault=rate, such as drop=0.01")]
    Form(String),
    /// There is no such fault.
    #[error("unknown fault `{0}`, expected one of drop, corrupt, reorder, stall, full, down, or seed")]
    Unknown(String),
    /// A fault or the seed is named twice.
    #[error("`{0}` is given twice")]
    Twice(String),
    /// The rate is none.
    #[error("the rate of `{fault}` is `{found}`, expected a probability from 0 to 1")]
    Rate {
        /// The fault.
        fault: String,
        /// What was given.
        found: String,
    },
    /// The seed is none.
    #[error("the seed is `{0}`, expected a whole number from 0 to 18446744073709551615")]
    Seed(String),
}

impl FromStr for FaultPlan {
    type Err = FaultPlanError;

    fn from_str(text: &str) -> Result<Self, FaultPlanError> {
        let mut plan = Self::default();
        let mut named = Vec::new();
        for part in text.split(',') {
            let Some((name, value)) = part.split_once('=').map(|(name, value)| (name.trim(), value.trim()))
            else {
                return Err(FaultPlanError::Form(part.trim().to_owned()));
            };
            if named.contains(&name) {
                return Err(FaultPlanError::Twice(name.to_owned()));
            }
            named.push(name);
            if name == "seed" {
                plan.seed = value.parse().map_err(|_| FaultPlanError::Seed(value.to_owned()))?;
            } else if let Some(rate) = plan.rate_mut(name) {
                *rate = value.parse().ok().and_then(Rate::new).ok_or_else(|| FaultPlanError::Rate {
                    fault: name.to_owned(),
                    found: value.to_owned(),
                })?;
            } else {
                return Err(FaultPlanError::Unknown(name.to_owned()));
            }
        }
        Ok(plan)
    }
}
